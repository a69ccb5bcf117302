"""Where each vision token lies in its picture or video: views described by adapters, and the layout made from them."""

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
    """How a view was cut into tiles that are encoded separately: how many, and the region that they cover together.

    Attributes:
        rows, columns: numbers of tiles.
        box: left, top, right, bottom in pixels of the picture; outside the picture if it was padded.
        seen: share of a tile's side that its tokens show: less than 1 if tiles are not a multiple of the patch size.
    """

    rows: int
    columns: int
    box: Box
    seen: float = 1.0


@dataclass(frozen=True)
class View:
    """One grid of vision tokens over a picture or a frame, row by row, in sequence order.

    Attributes:
        rows, columns: size of the grid.
        box: region that the grid covers with evenly spaced tokens: left, top, right, bottom in pixels of the picture.
        class_token: whether a class token comes before the grid.
        newlines: which rows end with a newline token.
        tiles: how the view was cut up; None: encoded as a whole.
        frames: first and last frame that it shows.
        time: seconds from the video's start to the first of them; NaN if unknown.
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
        sample: int64 [N], number of the sample in the batch.
        position: int64 [N], position in the padded input.
        picture: int64 [N], number of the picture or video, counted over the batch in token order.
        row, column: int64 [N], position on the view's token grid. A newline's column is one past the grid's; a class
            token has -1 and -1.
        box: float32 [N, 4], left, top, right, bottom in pixels of the picture, whose size is `size`. A newline's box
            has no width, and the box of a token that shows only padding has no area; a class token's box is its view.
        tile: int64 [N], the tile that a token belongs to, counted row by row; -1: a view of the picture as a whole.
        newline: bool [N], True at newline tokens.
        frames: int64 [N, 2], first and last frame of the video (as the processor sampled it) that the token shows;
            0, 0 in a picture.
        time: float32 [N], seconds from the video's start to the first of them; NaN in a picture, or if the inputs
            do not show it.
        grid: int64 [pictures, 2], rows and columns of each picture's last view, the finest.
        size: int64 [pictures, 2], height and width in pixels: of the original picture if the model gets its size, else
            of the picture as resized by the processor.
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
        """Build the layout from the media of a batch.

        Args:
            kinds: for each kind of placeholder (pictures, videos), the mask of its tokens, bool [B, S], and its media
                in the order of the batch.

        Raises:
            VisionMaskError: the number of tokens of a kind is not that of its media.
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
    # unpadding may leave no rows or no columns of a very long or wide picture
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
    """Shrink an evenly spaced token's box towards its tile's corner: patches start there and may not reach the end."""
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
