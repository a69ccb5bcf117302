"""Evaluate a zoo model on fresh questions: ``python -m v2drop_zoo_training.evaluate llava --questions 1000 --seed 0``.

It uses the real pipeline: pictures or mp4 files with test-split digits, the checkpoint's own processor and chat
template, and `generate`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import v2drop
from v2drop_loading.checkpoints import find_checkpoint, load_model
from v2drop_loading.generation import generate_answers
from v2drop_loading.methods import seeded
from v2drop_loading.schedules import Decoder, Keep, choose_schedule
from v2drop_terminal.errors import CommandError, tell_mistakes
from v2drop_terminal.needs import require_zoo
from v2drop_zoo.exam import LONGEST_ANSWER, Asked, batch_inputs, fresh_questions
from v2drop_zoo.media import media_of

BATCH = 50


@dataclass(frozen=True)
class Result:
    """Numbers of questions asked and answered right by kind, and the share of vision tokens kept (or None)."""

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


def measure(
    model: Any,
    processor: Any,
    questions: Sequence[Asked],
    schedule: v2drop.Schedule | None = None,
    method: str | v2drop.Method = "v2drop",
    seed: int = 0,
    progress: bool = True,
) -> Result:
    """Ask every question, dropping tokens if there is a schedule. `seed` is for method "random"."""
    asked: dict[str, int] = {}
    right: dict[str, int] = {}
    shares = []
    starts = range(0, len(questions), BATCH)
    for start in track(starts, "asking", console=Console(stderr=True), transient=True, disable=not progress):
        batch = questions[start : start + BATCH]
        attached: AbstractContextManager[Any] = nullcontext()
        if schedule is not None:
            numbers = range(start, start + len(batch))
            attached = v2drop.attach(model, schedule, method=seeded(method, seed, numbers))
        with attached as run:
            answers = answer_batch(model, processor, batch)
        for (_, question), answer in zip(batch, answers, strict=True):
            asked[question.kind] = asked.get(question.kind, 0) + 1
            right[question.kind] = right.get(question.kind, 0) + (answer == question.answer)
        if run is not None:
            shares.append(run.report.retained)
    return Result(asked, right, float(np.mean(shares)) if shares else None)


def answer_batch(model: Any, processor: Any, batch: Sequence[Asked]) -> list[str]:
    """The model's greedy answers, through processor, chat template and generate."""
    return generate_answers(model, processor, batch_inputs(processor, batch).to(model.device), LONGEST_ANSWER)


def main(
    name: Annotated[str, typer.Argument(help="A zoo model, or the folder of one.")],
    questions: Annotated[int, typer.Option(min=1, help="Number of questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the questions.")] = 0,
    modality: Annotated[str, typer.Option(help="image, or video if the model takes videos.")] = "image",
    retain: Annotated[float | None, typer.Option(help="Share of vision tokens to keep; dense by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Evaluate a zoo model on fresh questions about test-split digits."""
    require_zoo([modality])
    checkpoint = find_checkpoint(name)
    model, processor = load_model(checkpoint, "cpu")
    media = media_of(model.config.model_type, modality)
    if not media:
        raise CommandError(f"{name} takes no {modality}")
    schedule = None
    if retain is not None:
        decoder = Decoder.of(model, v2drop.get_adapter(model))
        schedule = choose_schedule("v2drop", decoder, Keep(retain), checkpoint.schedule)
    result = measure(model, processor, list(fresh_questions(questions, seed, media=media)), schedule)
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
