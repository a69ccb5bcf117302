"""`v2drop compare-methods`: all methods on one model, at the same budgets, on the same questions."""

from __future__ import annotations

from typing import Annotated

import typer

import v2drop

from .compare_options import (
    AsJson,
    Csv,
    Html,
    MaxNewTokens,
    Modality,
    Out,
    Questions,
    Retain,
    Seed,
    TaskFile,
    Timed,
    budgets_or_schedule,
    check_files,
    check_page,
    deliver,
)  # fmt: skip
from .comparison import FILE, Settings, run_comparison
from .options import ScheduleFile, Stages


def compare_methods(
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")] = "llava",
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"A method; repeat it for several. By default all: {', '.join(v2drop.methods())}."),
    ] = None,
    questions: Questions = 1000,
    seed: Seed = 0,
    timed: Timed = 20,
    modality: Annotated[Modality, typer.Option(help="What the zoo's questions are about.")] = Modality.IMAGE,
    task: TaskFile = None,
    max_new_tokens: MaxNewTokens = 16,
    out: Out = None,
    as_json: AsJson = False,
    csv: Csv = None,
    html: Html = None,
) -> None:
    """Compare methods on a model: accuracy, speed, memory, and where the tokens lie that they keep.

    Dense and random always take part: the one is what shares and ratios refer to, the other what methods are tested against.
    """
    budgets, fixed = budgets_or_schedule(retain, stages, schedule)
    check_files(csv)
    check_page(html)
    methods = list(method or v2drop.methods())
    models = [(model, FILE if task else modality.value)]
    settings = Settings(
        "compare-methods", models, methods, budgets, questions, seed, timed,
        task, max_new_tokens, fixed,
    )  # fmt: skip
    deliver(run_comparison(settings, out, named=method or ()), out, as_json, csv, html)
