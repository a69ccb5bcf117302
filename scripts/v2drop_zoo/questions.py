"""The questions that the zoo's pictures are asked, with their answers. Words only: the tokenizer is word-level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .scenes import COLOURS, Digit, Scene

POSITIONS = (
    ("top-left", "top", "top-right"),
    ("left", "centre", "right"),
    ("bottom-left", "bottom", "bottom-right"),
)
CELL_NAMES = tuple(name for row in POSITIONS for name in row)


@dataclass(frozen=True)
class Question:
    """One question about a picture: its kind, its words and its one-word answer."""

    kind: str
    text: str
    answer: str


def _some_digit(scene: Scene, rng: np.random.Generator) -> Digit:
    return scene.digits[rng.integers(len(scene.digits))]


def _some_cell(scene: Scene, rng: np.random.Generator) -> tuple[str, Digit | None]:
    """A cell's name and the digit in it, or None; one question in six asks for an empty cell."""
    if rng.random() < 1 / 6:
        taken = {digit.cell for digit in scene.digits}
        empty = [cell for cell in range(len(CELL_NAMES)) if cell not in taken]
        return CELL_NAMES[empty[rng.integers(len(empty))]], None
    digit = _some_digit(scene, rng)
    return CELL_NAMES[digit.cell], digit


def _digit_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    name, digit = _some_cell(scene, rng)
    return f"which digit is at the {name} ?", str(digit.value) if digit else "none"


def _colour_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    name, digit = _some_cell(scene, rng)
    return f"which colour is at the {name} ?", digit.colour if digit else "none"


def _digit_of_colour(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"which digit is {digit.colour} ?", str(digit.value)


def _colour_of_digit(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"which colour is the {digit.value} ?", digit.colour


def _where_digit(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"where is the {digit.value} ?", CELL_NAMES[digit.cell]


def _where_colour(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"where is the {digit.colour} digit ?", CELL_NAMES[digit.cell]


def _is_there(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    present = {digit.value for digit in scene.digits}
    if rng.random() < 0.5:
        return f"is there a {_some_digit(scene, rng).value} ?", "yes"
    absent = [value for value in range(10) if value not in present]
    return f"is there a {absent[rng.integers(len(absent))]} ?", "no"


KINDS: dict[str, Callable[[Scene, np.random.Generator], tuple[str, str]]] = {
    "digit at": _digit_at,
    "colour at": _colour_at,
    "digit of colour": _digit_of_colour,
    "colour of digit": _colour_of_digit,
    "where is digit": _where_digit,
    "where is colour": _where_colour,
    "is there": _is_there,
}
ANSWERABLE = tuple(kind for kind in KINDS if kind != "is there")
"""The kinds that the zoo is measured on. Presence is trained too, as it does no harm, but the answers stay at chance."""
QUESTION_WORDS = ["which", "digit", "is", "at", "the", "colour", "where", "there", "a", "?"]
ANSWER_WORDS = [*(str(value) for value in range(10)), *COLOURS, *CELL_NAMES, "none", "yes", "no"]


def ask(scene: Scene, rng: np.random.Generator, kind: str | None = None) -> Question:
    """Ask one question about a scene, of a random kind unless one is named."""
    kind = kind or list(KINDS)[rng.integers(len(KINDS))]
    text, answer = KINDS[kind](scene, rng)
    return Question(kind, text, answer)
