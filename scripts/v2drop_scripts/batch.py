"""`v2drop batch`: bulk inference on Ray Data, by a pool of attached models, that goes on where it was stopped."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

import v2drop
from v2drop_zoo import zoo_models

from .checkpoints import find_adapter, find_checkpoint, load_depth
from .comparing import BATCH
from .needs import require
from .options import Preset, Retain, ScheduleFile, Stages
from .progress import counting_progress
from .schedules import choose_schedule, read_keep

if TYPE_CHECKING:
    from v2drop_batch.answering import Settings

BLOCK = 100  # rows


def batch(
    input: Annotated[
        Path,
        typer.Option(
            help="A .jsonl or .parquet file of questions, a folder of such files, or, with --prompt, a folder of pictures.",
            resolve_path=True,
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="A folder for the answers. A run that was stopped goes on in it.", resolve_path=True)
    ],
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")] = "llava",
    prompt: Annotated[str | None, typer.Option(help="The question about each picture or video of a folder.")] = None,
    method: Annotated[str, typer.Option(help=f"How tokens are chosen: {', '.join(v2drop.methods())}.")] = "v2drop",
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    seed: Annotated[int, typer.Option(min=0, help="What method random keeps.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Models that answer side by side; by default one a GPU, without GPUs one.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS", help="A Ray cluster that is running: 'auto', or host:port. By default none."
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch", min=1, help="Questions that a model answers at a time.")
    ] = BATCH,
    block_size: Annotated[
        int, typer.Option("--block", min=1, help="Questions that are written together; a stop loses blocks in work.")
    ] = BLOCK,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Answer a file's or folder's questions with a pool of models, on this machine or a Ray cluster.

    Answers are parquet files in OUTPUT/answers; rows that cannot be asked are in OUTPUT/rejected.parquet, and end the command
    with exit code 1.
    """
    require("bulk inference runs on", "v2drop[ray]", ["ray", "pyarrow"])
    from v2drop_batch.answering import Settings
    from v2drop_batch.inputs import find_input
    from v2drop_batch.report import print_report
    from v2drop_batch.run import GO_ON, run_batch, settings_of
    from v2drop_batch.store import Store

    keep = read_keep(preset, retain, stages, schedule)
    name = str(Path(model).resolve()) if model not in zoo_models() and Path(model).is_dir() else model
    settings = Settings(name, method, keep, seed, max_new_tokens)
    _check(settings)
    asked, store = find_input(input, prompt, block_size), Store(output)
    store.start(settings_of(settings, asked, block_size))
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        # what Ray has to say of actors goes to stderr: stdout is the report's
        with redirect_stdout(sys.stderr), counting_progress(errors, transient=True) as progress:
            report = run_batch(asked, store, settings, batch_size, actors, address, progress)
    except KeyboardInterrupt:
        errors.print(f"stopped; what was answered is kept: {GO_ON}")
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps({"output": str(output), **report.to_dict()}))
    else:
        print_report(Console(), report, store)
    if rejected := report.to_dict()["rejected"]:
        errors.print(f"[bold yellow]Not as asked:[/] {rejected} rows were rejected")
        raise typer.Exit(1)


def _check(settings: Settings) -> None:
    """Refuse what no actor could do, before any is started."""
    checkpoint = find_checkpoint(settings.model)
    find_adapter(checkpoint)
    choose_schedule(settings.method, load_depth(checkpoint), settings.keep, checkpoint.schedule)
