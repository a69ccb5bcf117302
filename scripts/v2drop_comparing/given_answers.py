"""The answers in a comparison: each as a row of a table, and the questions on which a method differs from dense."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2drop_loading.pictures import as_data_uri
from v2drop_loading.schedules import DENSE
from v2drop_measuring.journal import Journal

from .harness import Subject
from .records import Answered, records_of

MOST = 40  # questions per model whose pictures a page shows
LONGEST_SIDE = 240  # pixels of such a picture
COLUMNS = (
    "model", "modality", "number", "kind", "question", "media", "wanted", "method", "budget", "seed", "answer", "right",
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """One answer to one question. `draw` numbers the seeds of random."""

    number: int
    method: str
    budget: float | None
    draw: int
    answer: str
    right: bool


@dataclass(frozen=True)
class Difference:
    """A question that some method answers differently from the dense model, and all of these answers.

    Attributes:
        picture: its picture or frames, as a data URI; "" if the file is gone.
    """

    kind: str
    question: str
    media: str
    wanted: Sequence[str]
    picture: str
    dense: Said
    others: Sequence[Said]


@dataclass(frozen=True)
class Differences:
    """For one model, the first `MOST` questions that are answered differently, and how many there are."""

    title: str
    count: int
    asked: int
    shown: Sequence[Difference]


def answers_of(subject: Subject, journal: Journal) -> list[Said]:
    """All answers of one subject, in the order of its contenders and questions."""
    return [
        Said(number, contender.method, contender.budget, contender.draw, answer, right)
        for contender in subject.contenders
        for batch in records_of(journal, Answered, *subject.key, contender.key)
        for number, answer, right in zip(batch.numbers, batch.answers, batch.right, strict=True)
    ]


def as_rows(subject: Subject, answers: Iterable[Said], seed: int) -> list[dict[str, Any]]:
    """One row for each question, method and budget, with the names of `COLUMNS`."""
    rows = []
    for said in answers:
        asked = subject.task.questions[said.number]
        rows.append(
            {
                "model": subject.name, "modality": subject.modality, "number": said.number, "kind": asked.kind,
                "question": asked.text, "media": asked.media, "wanted": " | ".join(asked.answers), "method": said.method,
                "budget": said.budget, "seed": seed + said.draw, "answer": said.answer, "right": int(said.right),
            }
        )  # fmt: skip
    return rows


def write_answers(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def differences_of(subject: Subject, answers: Sequence[Said]) -> Differences:
    """Questions on which methods differ from dense, sorted by how many do. Of random, only the first seed counts."""
    dense = {said.number: said for said in answers if said.method == DENSE}
    others: dict[int, list[Said]] = {number: [] for number in dense}
    for said in answers:
        if said.method != DENSE and said.draw == 0 and said.answer != dense[said.number].answer:
            others[said.number].append(said)
    differing = sorted((number for number in others if others[number]), key=lambda number: -len(others[number]))
    shown = []
    for number in differing[:MOST]:
        asked = subject.task.questions[number]
        shown.append(
            Difference(
                asked.kind, asked.text, asked.media, asked.answers, _picture(subject, number), dense[number], others[number]
            )
        )  # fmt: skip
    return Differences(subject.title, len(differing), len(dense), shown)


def _picture(subject: Subject, number: int) -> str:
    try:
        return as_data_uri(subject.task.picture(number), LONGEST_SIDE, lossless=0)
    except Exception:  # it was read before, but is now gone or changed; the answers are still of interest
        return ""
