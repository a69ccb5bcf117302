"""`v2drop compare-models`: one method on several models, at the same budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

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
from .options import AsJson, Method, Modality, Models, ScheduleFile, Stages


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
        Modality | None, typer.Option(help="What the zoo's questions are about; by default all that a model takes.")
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
    """Compare models under a method: accuracy, speed, memory, and where the tokens lie that it keeps.

    Dense and random always take part: the one is what shares and ratios refer to, the other what the method is tested against.
    """
    from .compare_output import Wanted, budgets_or_schedule, deliver, telling_how_to_go_on
    from .comparison import Settings, run_comparison
    from .tasks import FILE

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


def subjects_of(models: Sequence[str] | None = None, modality: Modality | None = None) -> list[tuple[str, str]]:
    """Each model, or all of the zoo, with each sort of media that the zoo asks it about, or with the one that is named."""
    from v2drop_zoo.recipes import RECIPES

    from .checkpoints import find_checkpoint, load_config

    if models and modality is not None:
        return [(model, modality.value) for model in models]
    pairs = []
    for model in models or zoo_models():
        recipe = RECIPES.get(load_config(find_checkpoint(model)).model_type)
        known = [each.value for each in Modality if recipe and recipe.of(each.value)]
        pairs += [(model, each) for each in known or [Modality.IMAGE.value]]
    return [pair for pair in pairs if modality is None or pair[1] == modality.value]
