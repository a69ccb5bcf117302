"""Questions with known answers for the proof and the tests: the zoo's, some of them corrupted in the ways that happen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from v2drop_zoo.exam import fresh_questions
from v2drop_zoo.scenes import Scene

CORRUPTIONS = ("cut line", "no question", "no such picture", "picture cut off", "picture is text", "path is a number")


@dataclass(frozen=True)
class Questions:
    """A file of JSON lines, and what is right.

    Attributes:
        right: by line, the answer that a picture's maker knows; corrupted lines have none.
        corrupted: by line, how it is corrupted.
    """

    file: Path
    right: dict[int, str]
    corrupted: dict[int, str]


def write_questions(folder: Path, count: int, seed: int, bad: float) -> Questions:
    """Write `count` questions about digits, a share `bad` of them corrupted, in each way about as often."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.random.default_rng([seed, 11]).choice(count, round(bad * count), replace=False).tolist()
    corrupted = {number + 1: CORRUPTIONS[index % len(CORRUPTIONS)] for index, number in enumerate(chosen)}
    right, lines = {}, []
    for line, (shown, question) in enumerate(fresh_questions(count, seed), start=1):
        assert isinstance(shown, Scene)
        name = f"{line}.png"
        shown.image.save(folder / name)
        row = {"id": f"q{line}", "question": question.text, "image": name, "answers": [question.answer]}
        if line in corrupted:
            lines.append(_corrupt(corrupted[line], row, folder / name))
        else:
            right[line] = question.answer
            lines.append(json.dumps(row))
    file = folder / "questions.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return Questions(file, right, corrupted)


def _corrupt(how: str, row: dict[str, Any], picture: Path) -> str:
    if how == "cut line":
        return json.dumps(row)[:-9]
    if how == "no question":
        del row["question"]
    elif how == "no such picture":
        picture.unlink()
    elif how == "picture cut off":
        picture.write_bytes(picture.read_bytes()[:1000])
    elif how == "picture is text":
        picture.write_text("no picture")
    else:
        row["image"] = 7
    return json.dumps(row)
