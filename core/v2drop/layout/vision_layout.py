"""Where each vision token lies in its picture or video: views, which adapters describe, and the layout made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import VisionMaskError

Box = tuple[float, float, float, float]


class Tiles(NamedTuple):
    """How a view was cut into tiles, each encoded on its own: their numbers, and the region that they cover together.

    Attributes:
        rows, columns: numbers of tiles.
        box: left, top, right, bottom in pixels of the picture; outside of the picture where it was padded.
        seen: share of a tile's side that its tokens show: less than 1 where tiles are no multiple of the patch.
    """

    rows: int
    columns: int
    box: Box
    seen: float = 1.0


@dataclass(frozen=True)
class View:
    """One grid of vision tokens over a picture or a frame: row by row, as they stand in the sequence.

    Attributes:
        rows, columns: size of the grid.
        box: region that the grid covers, its tokens laid out evenly: left, top, right, bottom in pixels of the picture.
        class_token: whether a class token stands before the grid.
        newlines: after which rows a newline token stands.
        tiles: how the view was cut up; None: encoded as a whole.
        frames: first and last frame that it shows.
        time: seconds from the video's start to the first of them; NaN where that is not known.
    """

    rows: int
    columns: int
    box: Box
    class_token: bool = False
    newlines: Literal["none", "each row", "last row"] = "none"
    tiles: Tiles | None = None
    frames: tuple[int, int] = (0, 0)
    time: float = math.nan

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row and column of each token; a class token has -1, -1, and a newline's column is one past the grid's."""
        places = [(-1, -1)] if self.class_token else []
        for row in range(self.rows):
            places += [(row, column) for column in range(self.columns)]
            if self.newlines == "each row" or (self.newlines == "last row" and row == self.rows - 1):
                places.append((row, self.columns))
        return places


@dataclass(frozen=True)
class MediaItem:
    """One picture or video: its height and width in pixels, and its views in the order of their tokens."""

    height: int
    width: int
    views: Sequence[View]
    is_video: bool = False

    def __len__(self) -> int:
        return sum(len(view.places) for view in self.views)


@dataclass(frozen=True)
class VisionLayout:
    """Where each of the N vision tokens of a batch lies, in order of sample and position; on the CPU.

    Attributes:
        sample: int64 [N], row of the batch.
        position: int64 [N], column of the padded input.
        picture: int64 [N], which of the batch's pictures and videos, counted in the order in which they stand.
        row, column: int64 [N], place on the view's grid of tokens. A newline's column is one past the grid's; a class
            token has -1 and -1.
        box: float32 [N, 4], left, top, right, bottom in pixels of the picture, whose size is `size`. A newline's box
            has no width, that of a token which shows padding alone no area; a class token's is its whole view.
        tile: int64 [N], the tile that a token belongs to, counted row by row; -1: a view of the picture as a whole.
        newline: bool [N], True at newline tokens.
        frames: int64 [N, 2], first and last frame of the video (as the processor sampled it) that the token shows;
            0, 0 in a picture.
        time: float32 [N], seconds from the video's start to the first of them; NaN in a picture, and where the inputs
            tell no rate.
        grid: int64 [pictures, 2], rows and columns of each picture's last view, the finest.
        size: int64 [pictures, 2], height and width in pixels: of the original picture where the model is told it, else
            of the picture after the processor has resized it.
        is_video: bool [pictures].
    """

    sample: Tensor
    position: Tensor
    picture: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    tile: Tensor
    newline: Tensor
    frames: Tensor
    time: Tensor
    grid: Tensor
    size: Tensor
    is_video: Tensor

    @classmethod
    def of(cls, *kinds: tuple[Tensor, Sequence[MediaItem]]) -> VisionLayout:
        """Lay media over their tokens.

        Args:
            kinds: for each kind of placeholder, such as pictures' and videos', where its tokens are, bool [B, S], and
                its media in the order in which they stand in the batch.

        Raises:
            VisionMaskError: there are more or fewer tokens of a kind than its media have.
        """
        spans = []  # where each medium's tokens are, and the medium
        for mask, media in kinds:
            where = mask.cpu().nonzero()
            if len(where) != sum(map(len, media)):
                raise VisionMaskError(
                    f"{len(where)} vision tokens but {len(media)} pictures or videos of {[len(medium) for medium in media]} "
                    "tokens: pass the inputs as the processor made them; see v2drop docs limits"
                )
            spans += list(zip(where.split([len(medium) for medium in media]), media, strict=True))
        spans = sorted((span for span in spans if len(span[0])), key=lambda span: span[0][0].tolist())
        media = [medium for _, medium in spans]
        where = torch.cat([places for places, _ in spans]) if spans else torch.zeros(0, 2, dtype=torch.long)
        tokens = [token for medium in media for view in medium.views for token in _tokens(view, medium)]
        return cls(
            sample=where[:, 0],
            position=where[:, 1],
            picture=torch.arange(len(media)).repeat_interleave(torch.tensor([*map(len, media)], dtype=torch.long)),
            row=_long([token.place[0] for token in tokens]),
            column=_long([token.place[1] for token in tokens]),
            box=torch.tensor([token.box for token in tokens], dtype=torch.float32).reshape(-1, 4),
            tile=_long([token.tile for token in tokens]),
            newline=torch.tensor([token.newline for token in tokens], dtype=torch.bool),
            frames=_long([token.frames for token in tokens]).reshape(-1, 2),
            time=torch.tensor([token.time for token in tokens], dtype=torch.float32),
            grid=_long([(medium.views[-1].rows, medium.views[-1].columns) for medium in media]).reshape(-1, 2),
            size=_long([(medium.height, medium.width) for medium in media]).reshape(-1, 2),
            is_video=torch.tensor([medium.is_video for medium in media], dtype=torch.bool),
        )


class _Token(NamedTuple):
    place: tuple[int, int]
    box: Box
    tile: int
    newline: bool
    frames: tuple[int, int]
    time: float


def _tokens(view: View, medium: MediaItem) -> list[_Token]:
    left, top, right, bottom = view.box
    # of a picture that is much longer than wide, unpadding may leave no rows or no columns
    width, height = (right - left) / max(view.columns, 1), (bottom - top) / max(view.rows, 1)
    tokens = []
    for row, column in view.places:
        newline = column == view.columns
        box = view.box
        if row >= 0:
            start = left + column * width
            box = (start, top + row * height, start if newline else start + width, top + (row + 1) * height)
        # a newline ends a row, so it belongs to the tile of the row's last token
        centre = (box[0] - width / 2 if newline else (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        tile = -1
        if view.tiles is not None:
            tile = _tile(view.tiles, *centre)
            box = _as_seen(view.tiles, tile, box)
        inside = _clip(box, medium.width, medium.height)
        tokens.append(_Token((row, column), inside, tile, newline, view.frames, view.time))
    return tokens


def _tile(tiles: Tiles, x: float, y: float) -> int:
    left, top, right, bottom = tiles.box
    column = min(int((x - left) / (right - left) * tiles.columns), tiles.columns - 1)
    row = min(int((y - top) / (bottom - top) * tiles.rows), tiles.rows - 1)
    return row * tiles.columns + column


def _as_seen(tiles: Tiles, tile: int, box: Box) -> Box:
    """The box of an evenly laid token drawn towards its tile's corner, for patches start there and may not reach the end."""
    left, top, right, bottom = tiles.box
    x = left + tile % tiles.columns * (right - left) / tiles.columns
    y = top + tile // tiles.columns * (bottom - top) / tiles.rows
    seen = tiles.seen
    return (
        x + (box[0] - x) * seen,
        y + (box[1] - y) * seen,
        x + (box[2] - x) * seen,
        y + (box[3] - y) * seen,
    )


def _clip(box: Box, width: int, height: int) -> Box:
    left, right = (min(max(x, 0.0), width) for x in box[::2])
    top, bottom = (min(max(y, 0.0), height) for y in box[1::2])
    return left, top, right, bottom


def _long(values: Sequence[object]) -> Tensor:
    return torch.tensor(values, dtype=torch.long)
