"""Write what stands beside a zoo model's weights: ``python -m v2drop_zoo.card llava``.

Its recommended schedule and example (v2drop.json, example.png), and its model card (README.md) with measured figures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

import v2drop
from v2drop_scripts.checkpoints import RECOMMENDATION, find_checkpoint, load_model

from . import CHECKPOINTS
from .baselines import BASELINES, baselines_as_metrics
from .evaluate import Result, answer_batch, fresh_questions, measure
from .questions import ANSWERABLE

BUDGETS = (0.5, 1 / 3, 0.22)
EXAMPLE_SEED = 2026
LAYERS = {"llava": (1, 5, 8)}  # where each model's recommended schedule cuts
RETAINED = 1 / 3


def write_recommendation(folder: Path, layers: tuple[int, ...], model: Any, processor: Any) -> v2drop.Schedule:
    """The recommended schedule, and as an example the first test-split question that is answered right both ways."""
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    schedule = v2drop.Schedule.for_budget(depth, RETAINED, layers)
    for scene, question in fresh_questions(50, EXAMPLE_SEED):
        dense = answer_batch(model, processor, [(scene, question)])
        with v2drop.attach(model, schedule):
            dropped = answer_batch(model, processor, [(scene, question)])
        if len(scene.digits) == 5 and dense == dropped == [question.answer]:
            break
    else:
        raise RuntimeError("no example is answered right: is this the trained model?")
    scene.image.save(folder / "example.png")
    data = {"schedule": schedule.to_dict(), "image": "example.png", "prompt": question.text, "answer": question.answer}
    (folder / RECOMMENDATION).write_text(json.dumps(data, indent=1) + "\n")
    return schedule


def measure_all(
    model: Any, processor: Any, layers: tuple[int, ...], count: int, seed: int
) -> dict[tuple[str, float], Result]:
    """Every way of choosing tokens at every budget, by (name, budget), on the same questions; dense at budget 1."""
    questions = list(fresh_questions(count, seed))
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    results = {("dense", 1.0): measure(model, processor, questions)}
    with baselines_as_metrics():
        for budget in BUDGETS:
            schedule = v2drop.Schedule.for_budget(depth, budget, layers)
            for name in ("V2Drop", *BASELINES):
                torch.manual_seed(seed)
                metric = "l2" if name == "V2Drop" else name
                results[name, budget] = measure(model, processor, questions, schedule, metric=metric)
    return results


def figures(results: dict[tuple[str, float], Result]) -> str:
    """The measured accuracies as Markdown tables."""
    dense = results["dense", 1.0]
    lines = ["| tokens chosen by | " + " | ".join(f"{budget:.0%} retained" for budget in BUDGETS) + " |"]
    lines.append("|---|" + "---|" * len(BUDGETS))
    for name in ("V2Drop", *BASELINES):
        cells = [f"{results[name, budget].accuracy:.1%}" for budget in BUDGETS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    third = results["V2Drop", RETAINED]
    lines += ["", "| question | asked | dense | V2Drop, 33% retained |", "|---|---|---|---|"]
    for kind in ANSWERABLE:
        asked = dense.asked[kind]
        lines.append(f"| {kind} | {asked} | {dense.right[kind] / asked:.1%} | {third.right[kind] / asked:.1%} |")
    lines.append(f"| all | {sum(dense.asked.values())} | {dense.accuracy:.1%} | {third.accuracy:.1%} |")
    return "\n".join(lines)


CARD = """# The zoo's {name}

A stock `{architecture}` of {parameters:.2f} million parameters ({megabytes:.1f} MB), trained from scratch by
`python -m v2drop_zoo.train {name}` on two cores. Load it with `AutoProcessor` and `AutoModelForImageTextToText`.

**What it is for.** It shows that v2drop works, in tests and demos that can reach no hub. It is no evidence about models
of 7B parameters, nor that V2Drop beats other methods there: it was trained to have the very property that V2Drop rests
on, so V2Drop does well on it, and its task is easy on purpose.

**What it can do.** Pictures of 144 x 144 pixels with 2 to 5 handwritten digits of distinct value and colour, on a noisy
grey canvas with bars; questions of the kinds below, in these words only. The digits are real scans: scikit-learn's
`load_digits` (UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, CC BY 4.0), split by scan into
1,277 for training, 160 for validation and 360 for testing. Digits are drawn near a 12-pixel raster, the patch size.

**How it was trained.** Its recipe adds a penalty on needless updates of vision tokens to the loss (weight {penalty}).
Tiny models trained without one changed background tokens most in their early layers, so that V2Drop dropped what matters:
the method rests on a property that large models have and that this one had to be taught. Two
kinds of question are left out: counting, which such a model answers from the background, and presence ("is there a 7 ?"),
which the recipe trains but whose answers stay at chance.

**Recommended schedule** (`v2drop.json`): {schedule}, {retained:.1%} retained.

**Measured** on {count} questions about test-split digits (`python -m v2drop_zoo.card {name}`, seed {seed}; greedy, through
the processor and `generate`). Dense: {dense:.1%}. At each budget all rows cut before layers {layers} and keep equal numbers:

{figures}

V2Drop at a third retained keeps {kept:.1%} of the dense accuracy.
"""


def main(
    name: Annotated[str, typer.Argument(help=f"which model: {', '.join(LAYERS)}")],
    questions: Annotated[int, typer.Option(help="How many questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Which questions.")] = 0,
    penalty: Annotated[float, typer.Option(help="the penalty that it was trained with, for the card")] = 0.3,
) -> None:
    """Write the schedule, example and model card of a trained zoo model."""
    folder = CHECKPOINTS / name
    model, processor = load_model(find_checkpoint(name), "cpu")
    schedule = write_recommendation(folder, LAYERS[name], model, processor)
    results = measure_all(model, processor, LAYERS[name], questions, seed)
    dense, third = results["dense", 1.0].accuracy, results["V2Drop", RETAINED].accuracy
    depth = len(v2drop.get_adapter(model).decoder_layers(model))
    text = CARD.format(
        name=name,
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        megabytes=(folder / "model.safetensors").stat().st_size / 1e6,
        penalty=penalty,
        schedule=", ".join(f"keep {stage.keep:.3g} before layer {stage.layer}" for stage in schedule.stages),
        retained=schedule.retained(depth),
        count=questions,
        seed=seed,
        dense=dense,
        layers=", ".join(map(str, LAYERS[name])),
        figures=figures(results),
        kept=third / dense,
    )
    (folder / "README.md").write_text(text)
    Console().print(text)


if __name__ == "__main__":
    typer.run(main)
