"""`v2drop compare-methods`: all methods on one model, at the same budgets, on the same questions."""

from __future__ import annotations

from typing import Annotated

import typer

from v2drop_loading.defaults import Modality

from .compare_options import (
    Against,
    Budgets,
    Csv,
    Html,
    Latex,
    LongestTaskAnswer,
    Out,
    Plots,
    Questions,
    RandomSeeds,
    Seed,
    TaskFile,
    Timed,
)  # fmt: skip
from .options import METHODS, AsJson, MethodsOrAll, Model, ScheduleFile, Stages


def compare_methods(
    model: Model = "llava",
    retain: Budgets = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    method: MethodsOrAll = None,
    questions: Questions = 1000,
    seed: Seed = 0,
    random_seeds: RandomSeeds = 1,
    against: Against = None,
    timed: Timed = 20,
    modality: Annotated[Modality, typer.Option(help="Modality of the zoo's questions.")] = Modality.IMAGE,
    task: TaskFile = None,
    max_new_tokens: LongestTaskAnswer = 16,
    out: Out = None,
    as_json: AsJson = False,
    csv: Csv = None,
    html: Html = None,
    latex: Latex = None,
    plots: Plots = None,
) -> None:
    """Compare methods on a model: accuracy, speed, memory, and where the kept tokens lie.

    Dense and random always take part: shares and ratios refer to dense, and the methods are tested against random.
    """
    from v2drop_comparing.experiment import Settings, run_comparison
    from v2drop_comparing.tasks import FILE

    from .compare_output import Wanted, budgets_or_schedule, deliver, telling_how_to_go_on

    budgets, fixed = budgets_or_schedule(retain, stages, schedule)
    wanted = Wanted(out, csv, html, latex, plots)
    wanted.check()
    methods = list(method or METHODS)
    models = [(model, FILE if task else modality.value)]
    settings = Settings(
        "compare-methods", models, methods, budgets, questions, seed, timed,
        task, max_new_tokens, fixed, against, random_seeds,
    )  # fmt: skip
    with telling_how_to_go_on(out):
        found = run_comparison(settings, out, named=[*(method or ()), against], pictures=html is not None)
    deliver(found, wanted, as_json)
