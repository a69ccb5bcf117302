"""`v2drop compare-models`: one method on several models, at the same budgets."""

from __future__ import annotations

from typing import Annotated

import typer

from v2drop_loading.defaults import Modality
from v2drop_zoo import zoo_models

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
from .options import AsJson, Method, Models, ScheduleFile, Stages


def compare_models(
    method: Method = "v2drop",
    retain: Budgets = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    model: Models = None,
    questions: Questions = 1000,
    seed: Seed = 0,
    random_seeds: RandomSeeds = 1,
    against: Against = None,
    timed: Timed = 20,
    modality: Annotated[
        Modality | None, typer.Option(help="Modality of the zoo's questions; by default all that a model takes.")
    ] = None,
    task: TaskFile = None,
    max_new_tokens: LongestTaskAnswer = 16,
    out: Out = None,
    as_json: AsJson = False,
    csv: Csv = None,
    html: Html = None,
    latex: Latex = None,
    plots: Plots = None,
) -> None:
    """Compare models under a method: accuracy, speed, memory, and where the kept tokens lie.

    Dense and random always take part: shares and ratios refer to dense, and the method is tested against random.
    """
    from v2drop_comparing.experiment import Settings, run_comparison, subjects_of
    from v2drop_comparing.tasks import FILE

    from .compare_output import Wanted, budgets_or_schedule, deliver, telling_how_to_go_on

    budgets, fixed = budgets_or_schedule(retain, stages, schedule)
    wanted = Wanted(out, csv, html, latex, plots)
    wanted.check()
    models = [(each, FILE) for each in model or zoo_models()] if task else subjects_of(model, modality)
    settings = Settings(
        "compare-models", models, [method], budgets, questions, seed, timed,
        task, max_new_tokens, fixed, against, random_seeds,
    )  # fmt: skip
    with telling_how_to_go_on(out):
        found = run_comparison(settings, out, named=[method, against], pictures=html is not None)
    deliver(found, wanted, as_json)
