"""`v2drop schedule`: the stages of a preset or budget on a model, and what each layer processes."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .checkpoints import PRESET_HELP, RETAIN_HELP, find_checkpoint, load_config


def schedule(
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")] = "llava",
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP)] = None,
    retain: Annotated[float | None, typer.Option(help=RETAIN_HELP)] = None,
    tokens: Annotated[
        int | None, typer.Option(min=0, help="Vision tokens; by default one picture of the model's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Print the stages of a schedule on a model, and the vision tokens of each layer."""
    checkpoint = find_checkpoint(model)
    config = load_config(checkpoint)
    depth = config.get_text_config().num_hidden_layers
    chosen = checkpoint.choose_schedule(depth, preset, retain)
    count = tokens if tokens is not None else getattr(config, "image_seq_length", 576)
    per_layer = chosen.tokens_per_layer(depth, count)
    retained = chosen.retained(depth)
    if as_json:
        data = {"model": model, **chosen.to_dict(), "retained": retained, "tokens_per_layer": per_layer}
        typer.echo(json.dumps(data))
        return
    console = Console()
    table = Table("layers", "keep", "vision tokens", title=f"{model}: {count} vision tokens, {depth} layers")
    starts = [0, *(stage.layer for stage in chosen.stages)]
    keeps = ["all", *(f"{stage.keep:.3f}" for stage in chosen.stages)]
    for start, stop, keep in zip(starts, [*starts[1:], depth], keeps, strict=True):
        table.add_row(f"{start} - {stop - 1}", keep, str(per_layer[start]))
    console.print(table)
    mean = sum(per_layer) / depth
    share = f"{mean / count:.1%}" if count else "nothing"
    console.print(
        f"retained: {share} of the vision tokens, averaged over layers ({mean:.1f} of {count}; "
        f"{retained:.1%} before rounding to whole tokens)"
    )
