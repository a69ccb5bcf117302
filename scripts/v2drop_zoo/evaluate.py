"""Measure a zoo model on fresh questions: ``python -m v2drop_zoo.evaluate llava --questions 1000 --seed 0``.

Through the real thing: pictures of test-split digits, the checkpoint's own processor and chat template, `generate`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import v2drop
from v2drop_scripts.checkpoints import find_checkpoint, load_model
from v2drop_scripts.errors import tell_mistakes

from .digits import Split
from .questions import ANSWERABLE, Question, ask
from .scenes import Scene, draw_scene

BATCH = 50


@dataclass(frozen=True)
class Result:
    """How many questions of each kind were asked and answered right, and the share of vision tokens kept (or None)."""

    asked: dict[str, int]
    right: dict[str, int]
    retained: float | None

    @property
    def accuracy(self) -> float:
        return sum(self.right.values()) / sum(self.asked.values())

    def to_dict(self) -> dict[str, Any]:
        by_question = {kind: self.right[kind] / count for kind, count in self.asked.items() if count}
        data: dict[str, Any] = {"accuracy": self.accuracy, "n": sum(self.asked.values()), "by_question": by_question}
        return data if self.retained is None else {**data, "retained": self.retained}


def fresh_questions(count: int, seed: int, split: Split = "test") -> Iterator[tuple[Scene, Question]]:
    """`count` pictures of one split's digits with a question each, kinds in turn; the same for the same seed."""
    rng = np.random.default_rng([seed, 7])
    for number in range(count):
        scene = draw_scene(rng, split)
        yield scene, ask(scene, rng, ANSWERABLE[number % len(ANSWERABLE)])


def measure(
    model: Any,
    processor: Any,
    questions: list[tuple[Scene, Question]],
    schedule: v2drop.Schedule | None = None,
    metric: str = "l2",
    progress: bool = True,
) -> Result:
    """Ask every question; with a schedule, while dropping."""
    asked, right = dict.fromkeys(ANSWERABLE, 0), dict.fromkeys(ANSWERABLE, 0)
    attached: AbstractContextManager[Any] = nullcontext()
    if schedule is not None:
        attached = v2drop.attach(model, schedule, metric=metric)
    shares = []
    with attached as run:
        batches = [questions[start : start + BATCH] for start in range(0, len(questions), BATCH)]
        for batch in track(batches, "asking", console=Console(stderr=True), transient=True, disable=not progress):
            for (_, question), answer in zip(batch, answer_batch(model, processor, batch), strict=True):
                asked[question.kind] += 1
                right[question.kind] += answer == question.answer
            if run is not None:
                shares.append(run.report.retained)
    return Result(asked, right, float(np.mean(shares)) if shares else None)


def answer_batch(model: Any, processor: Any, batch: list[tuple[Scene, Question]]) -> list[str]:
    """The model's answers, greedily, through processor, chat template and generate."""
    prompts = []
    for _, question in batch:
        content = [{"type": "image"}, {"type": "text", "text": question.text}]
        prompts.append(
            processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        )
    images = [scene.image for scene, _ in batch]
    inputs = processor(images=images, text=prompts, padding=True, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    return processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main(
    name: Annotated[str, typer.Argument(help="A zoo model, or a folder that holds one.")],
    questions: Annotated[int, typer.Option(min=1, help="How many questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Which questions.")] = 0,
    retain: Annotated[float | None, typer.Option(help="Drop tokens, keeping this share; without it, dense.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Measure a zoo model on fresh questions about test-split digits."""
    checkpoint = find_checkpoint(name)
    model, processor = load_model(checkpoint, "cpu")
    schedule = None
    if retain is not None:
        schedule = checkpoint.choose_schedule(len(v2drop.get_adapter(model).decoder_layers(model)), None, retain)
    result = measure(model, processor, list(fresh_questions(questions, seed)), schedule)
    if as_json:
        typer.echo(json.dumps(result.to_dict()))
        return
    table = Table("question", "asked", "right")
    for kind, count in result.asked.items():
        table.add_row(kind, str(count), f"{result.right[kind] / max(count, 1):.1%}")
    console = Console()
    console.print(table)
    kept = "" if result.retained is None else f", {result.retained:.1%} of the vision tokens retained"
    console.print(f"{Path(checkpoint.name).name}: {result.accuracy:.1%} of {questions} questions right{kept}")


if __name__ == "__main__":
    tell_mistakes(lambda: typer.run(main))
