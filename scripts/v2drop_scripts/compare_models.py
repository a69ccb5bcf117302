"""`v2drop compare-models`: one method on several models, at the same budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import v2drop
from v2drop_zoo import zoo_models

from .checkpoints import find_checkpoint, load_config
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


def compare_models(
    method: Annotated[str, typer.Option(help=f"One of {', '.join(v2drop.methods())}.")] = "v2drop",
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A zoo model, a folder, or an id on the hub; repeat it for several. By default all of the zoo."
        ),
    ] = None,
    questions: Questions = 1000,
    seed: Seed = 0,
    timed: Timed = 20,
    modality: Annotated[
        Modality | None, typer.Option(help="What the zoo's questions are about; by default all that a model takes.")
    ] = None,
    task: TaskFile = None,
    max_new_tokens: MaxNewTokens = 16,
    out: Out = None,
    as_json: AsJson = False,
    csv: Csv = None,
    html: Html = None,
) -> None:
    """Compare models under a method: accuracy, speed, memory, and where the tokens lie that it keeps.

    Dense and random always take part: the one is what shares and ratios refer to, the other what the method is tested against.
    """
    budgets, fixed = budgets_or_schedule(retain, stages, schedule)
    check_files(csv)
    check_page(html)
    models = [(each, FILE) for each in model or zoo_models()] if task else subjects_of(model, modality)
    settings = Settings(
        "compare-models", models, [method], budgets, questions, seed, timed,
        task, max_new_tokens, fixed,
    )  # fmt: skip
    deliver(run_comparison(settings, out, named=[method]), out, as_json, csv, html)


def subjects_of(models: Sequence[str] | None = None, modality: Modality | None = None) -> list[tuple[str, str]]:
    """Each model, or all of the zoo, with each sort of media that the zoo asks it about, or with the one that is named."""
    from v2drop_zoo.recipes import RECIPES

    if models and modality is not None:
        return [(model, modality.value) for model in models]
    pairs = []
    for model in models or zoo_models():
        recipe = RECIPES.get(load_config(find_checkpoint(model)).model_type)
        known = [each.value for each in Modality if recipe and recipe.of(each.value)]
        pairs += [(model, each) for each in known or [Modality.IMAGE.value]]
    return [pair for pair in pairs if modality is None or pair[1] == modality.value]
