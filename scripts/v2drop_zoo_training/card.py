"""Write the files beside a zoo model's weights: ``python -m v2drop_zoo_training.card llava``.

Its recommended schedule and examples (v2drop.json, example.png, example.mp4), and its model card (README.md) with measured
accuracies.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import v2drop
from v2drop_loading.checkpoints import RECOMMENDATION, find_checkpoint, load_model
from v2drop_terminal.needs import require_zoo
from v2drop_zoo import CHECKPOINTS
from v2drop_zoo.clips import RATE, write_video
from v2drop_zoo.exam import Asked, fresh_questions
from v2drop_zoo.media import MediaKind
from v2drop_zoo.scenes import Scene

from .descriptions import ABILITIES, PURPOSE, PURPOSES, TRAINING
from .evaluate import Result, answer_batch, measure
from .recipes import RECIPES, Recipe
from .smallest_variation import SmallestVariation

BUDGETS = (0.5, 1 / 3, 0.22)
EXAMPLE_SEED = 2026
LAYERS = dict.fromkeys(RECIPES, (1, 5, 8))  # where recommended schedules cut
RETAINED = 1 / 3
CHOICES: dict[str, str | v2drop.Method] = {
    "V2Drop": "v2drop",
    "smallest variation": SmallestVariation(),
    "random": "random",
    "uniform": "uniform",
}
SHOWN = {"image": "pictures", "video": "videos"}


def write_recommendation(
    recipe: Recipe, folder: Path, layers: tuple[int, ...], model: Any, processor: Any
) -> v2drop.Schedule:
    """The recommended schedule; examples are the first test-split questions answered right, dense and with dropping."""
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    schedule = v2drop.Schedule.for_budget(depth, RETAINED, layers)
    scene, question = find_example(recipe.of("image"), schedule, model, processor)
    scene.image.save(folder / "example.png")  # type: ignore[union-attr]
    data = {"schedule": schedule.to_dict(), "image": "example.png", "prompt": question.text, "answer": question.answer}
    if recipe.of("video"):
        clip, question = find_example(recipe.of("video"), schedule, model, processor)
        write_video(clip.frames, folder / "example.mp4")  # type: ignore[union-attr]
        data["video"] = {"file": "example.mp4", "prompt": question.text, "answer": question.answer, "fps": RATE}
    (folder / RECOMMENDATION).write_text(json.dumps(data, indent=1) + "\n")
    return schedule


def find_example(media: Sequence[MediaKind], schedule: v2drop.Schedule, model: Any, processor: Any) -> Asked:
    """The first question with a full picture, or about motion, that is answered right with and without dropping."""
    for shown, question in fresh_questions(50, EXAMPLE_SEED, media=media):
        dense = answer_batch(model, processor, [(shown, question)])
        with v2drop.attach(model, schedule):
            dropped = answer_batch(model, processor, [(shown, question)])
        telling = len(shown.digits) == 5 if isinstance(shown, Scene) else question.kind == "way of digit"
        if telling and dense == dropped == [question.answer]:
            return shown, question
    raise RuntimeError("no example is answered right: is this the trained model?")


def measure_all(
    model: Any, processor: Any, layers: tuple[int, ...], questions: Sequence[Asked], seed: int
) -> dict[tuple[str, float], Result]:
    """Results of every method at every budget, by (name, budget), on the same questions; dense at budget 1."""
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    results = {("dense", 1.0): measure(model, processor, questions)}
    for budget in BUDGETS:
        schedule = v2drop.Schedule.for_budget(depth, budget, layers)
        for name, method in CHOICES.items():
            results[name, budget] = measure(model, processor, questions, schedule, method, seed)
    return results


def figures(results: dict[tuple[str, float], Result]) -> str:
    """The measured accuracies as Markdown tables."""
    dense = results["dense", 1.0]
    lines = ["| tokens chosen by | " + " | ".join(f"{budget:.0%} retained" for budget in BUDGETS) + " |"]
    lines.append("|---|" + "---|" * len(BUDGETS))
    for name in CHOICES:
        cells = [f"{results[name, budget].accuracy:.1%}" for budget in BUDGETS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    third = results["V2Drop", RETAINED]
    lines += ["", "| question | asked | dense | V2Drop, 33% retained |", "|---|---|---|---|"]
    for kind, asked in dense.asked.items():
        lines.append(f"| {kind} | {asked} | {dense.right[kind] / asked:.1%} | {third.right[kind] / asked:.1%} |")
    lines.append(f"| all | {sum(dense.asked.values())} | {dense.accuracy:.1%} | {third.accuracy:.1%} |")
    kept = f"V2Drop at a third retained keeps {third.accuracy / dense.accuracy:.1%} of the dense accuracy."
    return "\n".join([*lines, "", kept])


CARD = """# The zoo's {name}

A stock `{architecture}` of {parameters:.2f} million parameters ({megabytes:.1f} MB), trained{start} by
`python -m v2drop_zoo_training.train {name}` on two cores. Load it with `AutoProcessor` and `AutoModelForImageTextToText`.

{purpose}

{abilities}

{training}

**Recommended schedule** (`v2drop.json`): {schedule}, {retained:.1%} retained.
"""
MEASURED = """
**Measured** on {count} questions about {shown} of test-split digits
(`python -m v2drop_zoo_training.card {name} --questions {count}`, seed {seed}; greedy, through the processor and
`generate`). Dense: {dense:.1%}. At each budget all rows cut before layers {layers} and keep equal numbers:

{figures}
"""


def wrapped(paragraph: str) -> str:
    """Wrap a paragraph into lines of up to 120 characters."""
    return textwrap.fill(" ".join(paragraph.split()), 120, break_long_words=False, break_on_hyphens=False)


def main(
    name: Annotated[str, typer.Argument(help=f"Zoo model: {', '.join(LAYERS)}.")],
    questions: Annotated[int, typer.Option(help="Number of questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the questions.")] = 0,
) -> None:
    """Write the schedule, examples and model card of a trained zoo model."""
    require_zoo(["image", "video"])
    folder, recipe = CHECKPOINTS / name, RECIPES[name]
    model, processor = load_model(find_checkpoint(name), "cpu")
    schedule = write_recommendation(recipe, folder, LAYERS[name], model, processor)
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    text = CARD.format(
        name=name,
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        megabytes=(folder / "model.safetensors").stat().st_size / 1e6,
        start="" if recipe.parent else " from scratch",
        purpose=wrapped("**What it is for.** " + PURPOSES.get(name, PURPOSE)),
        abilities=wrapped("**What it can do.** " + ABILITIES[name]),
        training=wrapped("**How it was trained.** " + TRAINING[name].format(penalty=recipe.plan.penalty)),
        schedule=", ".join(f"keep {stage.keep:.3g} before layer {stage.layer}" for stage in schedule.stages),
        retained=schedule.retained(depth),
    )
    for modality, shown in SHOWN.items():
        if not recipe.of(modality):
            continue
        asked = list(fresh_questions(questions, seed, media=recipe.of(modality)))
        results = measure_all(model, processor, LAYERS[name], asked, seed)
        text += MEASURED.format(
            name=name,
            count=questions,
            shown=shown,
            seed=seed,
            dense=results["dense", 1.0].accuracy,
            layers=", ".join(map(str, LAYERS[name])),
            figures=figures(results),
        )
    (folder / "README.md").write_text(text)
    Console().print(text)


if __name__ == "__main__":
    typer.run(main)
