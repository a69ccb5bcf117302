"""`v2drop schedule`: the stages of a preset or budget on a model, and the vision tokens of each layer."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .options import AsJson, Method, Model, Preset, Retain, ScheduleFile, Stages


def schedule(
    model: Model = "llava",
    method: Method = "v2drop",
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule_file: ScheduleFile = None,
    tokens: Annotated[int | None, typer.Option(min=0, help="Vision tokens; by default those of one picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the stages of a schedule on a model, and the vision tokens of each layer."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from v2drop_loading.checkpoints import find_checkpoint, load_config, load_decoder
    from v2drop_loading.schedules import choose_schedule, read_keep

    keep = read_keep(preset, retain, stages, schedule_file)
    checkpoint = find_checkpoint(model)
    decoder = load_decoder(checkpoint)
    chosen, depth = choose_schedule(method, decoder, keep, checkpoint.schedule), decoder.layers
    count = tokens if tokens is not None else getattr(load_config(checkpoint), "image_seq_length", 576)
    per_layer = chosen.tokens_per_layer(depth, count)
    retained = chosen.retained(depth)
    if as_json:
        data = {
            "model": model,
            "method": method,
            **chosen.to_dict(),
            "retained": retained,
            "tokens_per_layer": per_layer,
        }
        typer.echo(json.dumps(data))
        return
    console = Console()
    table = Table("layers", "keep", "vision tokens", title=Text(f"{model}: {count} vision tokens, {depth} layers"))
    starts = [0, *(stage.layer for stage in chosen.stages)]
    shares = ["all", *(f"{stage.keep:.3f}" for stage in chosen.stages)]
    for start, stop, share in zip(starts, [*starts[1:], depth], shares, strict=True):
        table.add_row(f"{start} - {stop - 1}", share, str(per_layer[start]))
    console.print(table)
    mean = sum(per_layer) / depth
    whole = f"{mean / count:.1%}" if count else "nothing"
    console.print(
        f"retained: {whole} of the vision tokens, averaged over layers ({mean:.1f} of {count}; "
        f"{retained:.1%} before rounding to whole tokens)"
    )
