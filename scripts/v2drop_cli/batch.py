"""`v2drop batch`: resumable bulk inference on Ray Data with a pool of attached models."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from v2drop_loading.defaults import BATCH
from v2drop_zoo import zoo_models

from .options import AsJson, LongestAnswer, Method, Model, Preset, Retain, ScheduleFile, Stages

BLOCK = 100  # rows


def batch(
    input: Annotated[
        Path,
        typer.Option(
            help="A .jsonl or .parquet file of questions, a folder of such files, or, with --prompt, a folder of pictures.",
            resolve_path=True,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for the answers. An interrupted run resumes from it.", resolve_path=True)
    ],
    model: Model = "llava",
    prompt: Annotated[str | None, typer.Option(help="The question about each picture or video of a folder.")] = None,
    method: Method = "v2drop",
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of method random.")] = 0,
    max_new_tokens: LongestAnswer = 64,
    actors: Annotated[
        int | None, typer.Option(min=1, help="Parallel models; by default one per GPU, or one without GPUs.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="RAY_ADDRESS", help="A running Ray cluster: 'auto', or host:port. By default none."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions per batch of a model.")] = BATCH,
    block_size: Annotated[
        int, typer.Option("--block", min=1, help="Questions saved together; an interruption loses unfinished blocks.")
    ] = BLOCK,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all answers to this .csv or .jsonl file too, in the order of the questions."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer the questions of a file or folder with a pool of models, on this machine or a Ray cluster.

    Answers are parquet files in OUT/answers. Rejected rows are in OUT/rejected.parquet and make the exit code 1.
    """
    from rich.console import Console

    from v2drop_loading.schedules import read_keep
    from v2drop_terminal.needs import require
    from v2drop_terminal.progress import counting_progress

    require("bulk inference runs on", "v2drop[ray]", ["ray", "pyarrow"])
    from v2drop_batch.answerer import Settings, check_settings
    from v2drop_batch.inputs import find_input
    from v2drop_batch.quiet import LOG, stderr_to
    from v2drop_batch.report import print_report
    from v2drop_batch.run import GO_ON, run_batch, settings_of
    from v2drop_batch.store import Store, check_export

    if export is not None:
        check_export(export)
    keep = read_keep(preset, retain, stages, schedule)
    name = str(Path(model).resolve()) if model not in zoo_models() and Path(model).is_dir() else model
    settings = Settings(name, method, keep, seed, max_new_tokens)
    check_settings(settings)
    asked, store = find_input(input, prompt, block_size), Store(out)
    store.start(settings_of(settings, asked, block_size))
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with (
            stderr_to(out / LOG) as shown,
            redirect_stdout(sys.stderr),  # Ray's messages about actors: stdout is for the report
            counting_progress(Console(file=shown), transient=True) as progress,
        ):
            report = run_batch(asked, store, settings, batch_size, actors, address, progress)
    except KeyboardInterrupt:
        errors.print(f"stopped; finished answers are saved: {GO_ON}")
        raise typer.Exit(130) from None
    if export is not None:
        store.export([block.number for block in asked.blocks], export)
    if as_json:
        typer.echo(json.dumps({"output": str(out), **report.to_dict()}))
    else:
        print_report(Console(), report, store)
    if rejected := report.to_dict()["rejected"]:
        errors.print(f"[bold yellow]Warning:[/] {rejected} rows were rejected")
        raise typer.Exit(1)
