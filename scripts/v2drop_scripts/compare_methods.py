"""`v2drop compare-methods`: all methods on one model, at the same budgets, on the same questions."""

from __future__ import annotations

from typing import Annotated

import typer

from .compare_options import Budgets, Csv, Html, LongestTaskAnswer, Out, Questions, Seed, TaskFile, Timed
from .options import METHODS, AsJson, MethodsOrAll, Modality, Model, ScheduleFile, Stages


def compare_methods(
    model: Model = "llava",
    retain: Budgets = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    method: MethodsOrAll = None,
    questions: Questions = 1000,
    seed: Seed = 0,
    timed: Timed = 20,
    modality: Annotated[Modality, typer.Option(help="What the zoo's questions are about.")] = Modality.IMAGE,
    task: TaskFile = None,
    max_new_tokens: LongestTaskAnswer = 16,
    out: Out = None,
    as_json: AsJson = False,
    csv: Csv = None,
    html: Html = None,
) -> None:
    """Compare methods on a model: accuracy, speed, memory, and where the tokens lie that they keep.

    Dense and random always take part: the one is what shares and ratios refer to, the other what methods are tested against.
    """
    from .compare_output import budgets_or_schedule, check_files, check_page, deliver, telling_how_to_go_on
    from .comparison import FILE, Settings, run_comparison

    budgets, fixed = budgets_or_schedule(retain, stages, schedule)
    check_files(csv)
    check_page(html)
    methods = list(method or METHODS)
    models = [(model, FILE if task else modality.value)]
    settings = Settings(
        "compare-methods", models, methods, budgets, questions, seed, timed,
        task, max_new_tokens, fixed,
    )  # fmt: skip
    with telling_how_to_go_on(out):
        results = run_comparison(settings, out, named=method or ())
    deliver(results, out, as_json, csv, html)
