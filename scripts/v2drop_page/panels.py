"""Panels of a page: each picture, view of tiles, or step of a video, with the shape of each of its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from v2drop import VisionLayout
from v2drop_loading.pictures import as_data_uri

Shape = tuple[float, float, float, float]  # left, top, width, height, in pixels of the picture

STEPS = 16  # steps that are shown of a longer video
LARGEST, LARGEST_FRAME = 1280, 512  # pixels: the longer side of stored images, at most
MARK = 0.04  # share of the picture's longer side: the width of a token that shows no part of it


class Panel(NamedTuple):
    """One picture with tokens on it.

    Attributes:
        title: what it shows.
        image: the picture as a data URI.
        size: width and height in the pixels of the shapes.
        frame: the region to draw, larger than the picture if tokens lie beside it.
        tokens: their numbers in the layout.
        shapes: the shape of each token.
        marks: whether each token lies beside the picture: the end of a row, or a class token.
        tiles: outlines of the picture's tiles.
    """

    title: str
    image: str
    size: tuple[int, int]
    frame: Shape
    tokens: list[int]
    shapes: list[Shape]
    marks: list[bool]
    tiles: list[Shape]


def make_panels(shown: Sequence[Sequence[Image.Image]], names: Sequence[str], layout: VisionLayout) -> list[Panel]:
    """The panels of the first sample.

    Args:
        shown: as `overlay.as_shown` returns it.
        names: the names of the files.
        layout: where tokens lie.
    """
    panels = []
    for number, images in enumerate(shown):
        mine = (layout.sample == 0) & (layout.picture == number)
        views = _steps(layout, mine) if bool(layout.is_video[number]) else _views(layout, mine)
        prefix = f"{names[number]}, " if len(shown) > 1 else ""
        for title, tokens in views:
            image = images[min(int(layout.frames[tokens][0, 0]), len(images) - 1)]
            title = f"{prefix}{title}" if prefix else title[0].upper() + title[1:]
            panels.append(_panel(title, image, layout, tokens, film=len(images) > 1))
    return panels


def _views(layout: VisionLayout, mine: Tensor) -> list[tuple[str, Tensor]]:
    views = [("picture as a whole", mine & (layout.tile < 0)), ("in tiles", mine & (layout.tile >= 0))]
    views = [(title, tokens) for title, tokens in views if tokens.any()]
    return views if len(views) > 1 else [("picture", tokens) for _, tokens in views]


def _steps(layout: VisionLayout, mine: Tensor) -> list[tuple[str, Tensor]]:
    steps = sorted({(first, last) for first, last in layout.frames[mine].tolist()})
    if len(steps) > STEPS:
        steps = [steps[round(number * (len(steps) - 1) / (STEPS - 1))] for number in range(STEPS)]
    views = []
    for first, last in steps:
        tokens = mine & (layout.frames == torch.tensor([first, last])).all(1)
        time = float(layout.time[tokens][0])
        views.append((f"{time:.1f} s" if math.isfinite(time) else f"frame {first}", tokens))
    return views


def _panel(title: str, image: Image.Image, layout: VisionLayout, tokens: Tensor, film: bool) -> Panel:
    width, height = image.size
    numbers = tokens.nonzero().flatten().tolist()
    mark = MARK * max(width, height)
    boxes, shapes, marks = layout.box.tolist(), [], []
    for number in numbers:
        left, top, right, bottom = boxes[number]
        newline, class_token = bool(layout.newline[number]), int(layout.row[number]) < 0
        shape = (left, top, right - left, bottom - top)
        if newline:
            shape = (width + mark / 2, top, mark, bottom - top)
        elif class_token:
            shape = (0.0, -1.5 * mark, mark, mark)
        shapes.append(shape)
        marks.append(newline or class_token)
    beside = max([width, *(shape[0] + shape[2] for shape in shapes)])
    above = min([0.0, *(shape[1] for shape in shapes)])
    tiles = [_hull(layout.box[tokens & (layout.tile == tile) & ~layout.newline]) for tile in _tiles(layout, tokens)]
    stored = as_data_uri(image, LARGEST_FRAME if film else LARGEST)
    return Panel(
        title, stored, (width, height), (0.0, above, beside, height - above), numbers, shapes, marks, tiles
    )  # fmt: skip


def _tiles(layout: VisionLayout, tokens: Tensor) -> list[int]:
    return sorted({tile for tile in layout.tile[tokens & ~layout.newline].tolist() if tile >= 0})


def _hull(boxes: Tensor) -> Shape:
    left, top = boxes[:, :2].amin(0).tolist()
    right, bottom = boxes[:, 2:].amax(0).tolist()
    return left, top, right - left, bottom - top
