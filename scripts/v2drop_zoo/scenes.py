"""Pictures for the zoo: real digits in distinct colours, scattered over a cluttered canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .digits import Split, draw_ink, load_split

CELL = 48  # pixels: a canvas is a grid of cells, each holding at most one digit
STEP = 12  # pixels: digits start near multiples of this, the zoo's patch size, so they are learned much faster
COLOURS = {
    "red": (235, 50, 45),
    "green": (45, 200, 60),
    "blue": (60, 95, 245),
    "yellow": (240, 220, 50),
    "purple": (205, 60, 225),
    "cyan": (60, 220, 225),
}


PLACES = ("top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom", "bottom-right")
SQUARES = tuple(f"{row}{column}" for row in "abcd" for column in "1234")  # for canvases of any shape up to 4 x 4


@dataclass(frozen=True)
class Digit:
    """One digit of a scene: its value, colour, cell (row-major) and pixel box (left, top, right, bottom)."""

    value: int
    colour: str
    cell: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A picture ``[height, width, 3]`` uint8, its digits, the digit whose ink each pixel shows (or -1), cell names."""

    pixels: np.ndarray
    digits: tuple[Digit, ...]
    owner: np.ndarray
    names: tuple[str, ...] = PLACES

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(self.pixels)


def cell_names(rows: int, columns: int) -> tuple[str, ...]:
    """Cell names like the squares of a chess board, row by row: a1, a2, ... b1, ...; the same on every canvas."""
    return tuple(SQUARES[row * 4 + column] for row in range(rows) for column in range(columns))


def draw_scene(
    rng: np.random.Generator,
    split: Split,
    rows: int = 3,
    columns: int = 3,
    crowded: bool = False,
    names: tuple[str, ...] = PLACES,
) -> Scene:
    """Draw 2 to 5 digits of distinct value and colour in distinct cells of a cluttered canvas.

    A crowded scene has a digit in every cell, of any value and colour: good for learning to read, not for questions.
    """
    scans = load_split(split)
    height, width = rows * CELL, columns * CELL
    pixels = draw_clutter(rng, height, width)
    owner = np.full((height, width), -1, dtype=np.int8)
    count = rows * columns if crowded else int(rng.integers(2, 6))
    cells = rng.choice(rows * columns, size=count, replace=False)
    values = rng.choice(10, size=count, replace=crowded)
    colours = rng.choice(list(COLOURS), size=count, replace=crowded)
    digits = []
    for index, (cell, value, colour) in enumerate(zip(cells, values, colours, strict=True)):
        size = int(rng.integers(24, 29))
        scan = scans[int(value)][rng.integers(len(scans[int(value)]))]
        ink = draw_ink(scan, size, rng, distort=split == "train")
        top = int(cell) // columns * CELL + int(rng.integers(2)) * STEP + int(rng.integers(4))
        left = int(cell) % columns * CELL + int(rng.integers(2)) * STEP + int(rng.integers(4))
        shade = np.array(COLOURS[str(colour)], dtype=np.float32) * rng.uniform(0.85, 1.05)
        paint(pixels, owner, ink, shade, top, left, index)
        digits.append(Digit(int(value), str(colour), int(cell), (left, top, left + size, top + size)))
    return Scene(np.clip(pixels, 0, 255).astype(np.uint8), tuple(digits), owner, names)


def paint(
    pixels: np.ndarray, owner: np.ndarray, ink: np.ndarray, shade: np.ndarray, top: int, left: int, index: int
) -> None:
    """Paint one digit's ink ``[size, size]`` in its shade onto a picture and mark the pixels that it owns, in place."""
    window = (slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1]))
    alpha = np.clip(ink * 1.3, 0, 1)[..., None]
    pixels[window] = pixels[window] * (1 - alpha) + shade * alpha
    owner[window][ink > 0.4] = index


def draw_clutter(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A noisy grey canvas crossed by darker and lighter bars: float32 ``[height, width, 3]``."""
    base = rng.uniform(40, 100)
    pixels = base + rng.normal(0, 12, size=(height, width, 3)).astype(np.float32)
    for _ in range(int(rng.integers(3, 8))):
        thickness = int(rng.integers(2, 6))
        level = rng.uniform(-45, 60)
        if rng.random() < 0.5:
            start = int(rng.integers(0, height - thickness))
            pixels[start : start + thickness] += level
        else:
            start = int(rng.integers(0, width - thickness))
            pixels[:, start : start + thickness] += level
    return pixels
