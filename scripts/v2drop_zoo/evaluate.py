"""Measure a zoo model on fresh questions: ``python -m v2drop_zoo.evaluate llava --questions 1000 --seed 0``.

Through the real thing: pictures or mp4 files with test-split digits, the checkpoint's own processor and chat template,
`generate`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
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
from v2drop_qwen2_vl.video import load_video
from v2drop_scripts.answers import generate_answers
from v2drop_scripts.checkpoints import find_checkpoint, load_model
from v2drop_scripts.entrants import seeded
from v2drop_scripts.errors import CommandError, tell_mistakes
from v2drop_scripts.needs import require_zoo
from v2drop_scripts.schedules import Decoder, Keep, choose_schedule

from .clips import RATE, Clip, write_video
from .digits import Split
from .media import Medium
from .questions import Question, ask
from .recipes import RECIPES
from .scenes import Scene

BATCH = 50
LONGEST_ANSWER = 3  # new tokens: a word, and the end of the answer
Asked = tuple[Scene | Clip, Question]


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


def fresh_questions(
    count: int, seed: int, split: Split = "test", media: Sequence[Medium] = RECIPES["llava"].media
) -> Iterator[Asked]:
    """`count` pictures or videos of one split's digits with a question each, kinds and media in turn; by the seed."""
    rng = np.random.default_rng([seed, 7])
    for number in range(count):
        medium = media[number % len(media)]
        shown = medium.draw(rng, split)
        yield shown, ask(shown, rng, medium.asked[number // len(media) % len(medium.asked)])


def measure(
    model: Any,
    processor: Any,
    questions: Sequence[Asked],
    schedule: v2drop.Schedule | None = None,
    method: str | v2drop.Method = "v2drop",
    seed: int = 0,
    progress: bool = True,
) -> Result:
    """Ask every question; with a schedule, while dropping. The seed is of method "random"."""
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
    """The model's answers, greedily, through processor, chat template and generate."""
    return generate_answers(model, processor, batch_inputs(processor, batch).to(model.device), LONGEST_ANSWER)


def batch_inputs(processor: Any, batch: Sequence[Asked]) -> Any:
    """Model inputs for a batch of questions; videos through mp4 files."""
    with tempfile.TemporaryDirectory() as folder:
        chats = [
            [{"role": "user", "content": [_content(shown, Path(folder) / f"{number}.mp4"), _text(question)]}]
            for number, (shown, question) in enumerate(batch)
        ]
        return load_inputs(processor, chats)


def load_inputs(processor: Any, chats: Sequence[list[dict[str, Any]]]) -> Any:
    """Model inputs for a batch of chats, each about one picture or each about one video file."""
    prompts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
    parts = [part for chat in chats for message in chat for part in message["content"]]
    shown: dict[str, Any] = {}
    if images := [part["image"] for part in parts if part["type"] == "image"]:
        shown["images"] = images
    if videos := [part for part in parts if part["type"] == "video"]:
        read = [load_video(part["video"], processor.video_processor, part["fps"]) for part in videos]
        shown["videos"], shown["video_metadata"] = [frames for frames, _ in read], [metadata for _, metadata in read]
        shown["do_sample_frames"] = False
    return processor(text=prompts, padding=True, return_tensors="pt", **shown)


def _content(shown: Scene | Clip, file: Path) -> dict[str, Any]:
    if isinstance(shown, Scene):
        return {"type": "image", "image": shown.image}
    write_video(shown.frames, file)
    return {"type": "video", "video": str(file), "fps": float(RATE)}


def _text(question: Question) -> dict[str, Any]:
    return {"type": "text", "text": question.text}


def main(
    name: Annotated[str, typer.Argument(help="A zoo model, or a folder that holds one.")],
    questions: Annotated[int, typer.Option(min=1, help="How many questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Which questions.")] = 0,
    modality: Annotated[str, typer.Option(help="image, or video if the model watches videos.")] = "image",
    retain: Annotated[float | None, typer.Option(help="Drop tokens, keeping this share; without it, dense.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Measure a zoo model on fresh questions about test-split digits."""
    require_zoo([modality])
    checkpoint = find_checkpoint(name)
    model, processor = load_model(checkpoint, "cpu")
    media = RECIPES[model.config.model_type].of(modality)
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
