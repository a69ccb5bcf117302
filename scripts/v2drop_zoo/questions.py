"""The questions about the zoo's pictures and videos, with their answers. Words only: the tokenizer is word-level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .clips import WAYS, Clip
from .scenes import COLOURS, PLACES, SQUARES, Digit, Scene


@dataclass(frozen=True)
class Question:
    """One question about a picture or a video: its kind, its words and its one-word answer."""

    kind: str
    text: str
    answer: str


def _some_digit(shown: Scene | Clip, rng: np.random.Generator) -> Digit:
    return shown.digits[rng.integers(len(shown.digits))]


def _some_cell(scene: Scene, rng: np.random.Generator) -> tuple[str, Digit | None]:
    """The phrase for a cell and the digit in it, or None; one question in six asks for an empty cell."""
    if rng.random() < 1 / 6:
        taken = {digit.cell for digit in scene.digits}
        empty = [cell for cell in range(len(scene.names)) if cell not in taken]
        return _phrase(scene.names[empty[rng.integers(len(empty))]]), None
    digit = _some_digit(scene, rng)
    return _phrase(scene.names[digit.cell]), digit


def _phrase(name: str) -> str:
    return name if name in SQUARES else f"the {name}"


def _digit_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    place, digit = _some_cell(scene, rng)
    return f"which digit is at {place} ?", str(digit.value) if digit else "none"


def _colour_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    place, digit = _some_cell(scene, rng)
    return f"which colour is at {place} ?", digit.colour if digit else "none"


def _digit_of_colour(shown: Scene | Clip, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(shown, rng)
    return f"which digit is {digit.colour} ?", str(digit.value)


def _colour_of_digit(shown: Scene | Clip, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(shown, rng)
    return f"which colour is the {digit.value} ?", digit.colour


def _where_digit(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"where is the {digit.value} ?", scene.names[digit.cell]


def _where_colour(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    digit = _some_digit(scene, rng)
    return f"where is the {digit.colour} digit ?", scene.names[digit.cell]


def _is_there(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    present = {digit.value for digit in scene.digits}
    if rng.random() < 0.5:
        return f"is there a {_some_digit(scene, rng).value} ?", "yes"
    absent = [value for value in range(10) if value not in present]
    return f"is there a {absent[rng.integers(len(absent))]} ?", "no"


def _way_of_digit(clip: Clip, rng: np.random.Generator) -> tuple[str, str]:
    index = rng.integers(len(clip.digits))
    return f"which way does the {clip.digits[index].value} move ?", clip.ways[index]


def _way_of_colour(clip: Clip, rng: np.random.Generator) -> tuple[str, str]:
    index = rng.integers(len(clip.digits))
    return f"which way does the {clip.digits[index].colour} digit move ?", clip.ways[index]


def _digit_in_turn(clip: Clip, rng: np.random.Generator) -> tuple[str, str]:
    index = rng.integers(2)
    return f"which digit came {('first', 'last')[index]} ?", str(clip.digits[index].value)


def _colour_in_turn(clip: Clip, rng: np.random.Generator) -> tuple[str, str]:
    index = rng.integers(2)
    return f"which colour came {('first', 'last')[index]} ?", clip.digits[index].colour


Kinds = dict[str, Callable[..., tuple[str, str]]]

KINDS: Kinds = {
    "digit at": _digit_at,
    "colour at": _colour_at,
    "digit of colour": _digit_of_colour,
    "colour of digit": _colour_of_digit,
    "where is digit": _where_digit,
    "where is colour": _where_colour,
    "is there": _is_there,
}
ANSWERABLE = tuple(kind for kind in KINDS if kind != "is there")
"""The kinds of question that pictures are evaluated on. Presence is left out: its answers stay at chance."""
CLIP_KINDS: Kinds = {
    "digit of colour": _digit_of_colour,
    "colour of digit": _colour_of_digit,
    "way of digit": _way_of_digit,
    "way of colour": _way_of_colour,
    "digit in turn": _digit_in_turn,
    "colour in turn": _colour_in_turn,
}
ALL_KINDS: Kinds = {**KINDS, **CLIP_KINDS}
QUESTION_WORDS = ["which", "digit", "is", "at", "the", "colour", "where", "there", "a", "?"]
ANSWER_WORDS = [*(str(value) for value in range(10)), *COLOURS, *PLACES, "none", "yes", "no"]
MOTION_WORDS = ["way", "does", "move", "came", "first", "last", *WAYS]


def ask(shown: Scene | Clip, rng: np.random.Generator, kind: str | None = None, kinds: Sequence[str] = ()) -> Question:
    """Ask one question about a picture or video, of the given kind, or of a random one of `kinds` (by default all)."""
    names = list(kinds or (CLIP_KINDS if isinstance(shown, Clip) else KINDS))
    kind = kind or names[rng.integers(len(names))]
    text, answer = ALL_KINDS[kind](shown, rng)
    return Question(kind, text, answer)
