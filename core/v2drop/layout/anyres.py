"""Any-resolution pictures, as LLaVA-NeXT and LLaVA-OneVision cut them up: a picture is fitted into a canvas of square
tiles, and tokens that show only the canvas' padding are left out."""

from __future__ import annotations

import math
from collections.abc import Callable

from .vision_layout import Box, Tiles, View


def whole_view(height: int, width: int, tile: int, patch: int) -> View:
    """The view of a whole picture, scaled to the size of one tile."""
    side, seen = tile // patch, tile // patch * patch / tile
    return View(side, side, (0, 0, width * seen, height * seen))


def tiled_view(
    height: int,
    width: int,
    canvas: tuple[int, int],
    tile: int,
    patch: int,
    max_tiles: int | None = None,
) -> View:
    """The view of a picture that was cut into tiles, with a newline token after each row.

    The picture is scaled to fit the canvas and centred in it. Rows or columns of tokens that show only padding are
    removed, counted as in transformers' `unpad_image`.

    Args:
        height, width: size of the original picture in pixels.
        canvas: height and width in pixels that the picture was fitted into, multiples of `tile`.
        tile: side of a tile in pixels.
        patch: pixels per token along a side.
        max_tiles: shrink a larger grid to about that many tiles' tokens (LLaVA-OneVision's `anyres_max_9`).
    """
    canvas_height, canvas_width = canvas
    all_rows, all_columns = canvas_height // tile * (tile // patch), canvas_width // tile * (tile // patch)
    row_padding, column_padding = 0, 0
    if width / height > all_columns / all_rows:
        row_padding = (all_rows - int(round(height * (all_columns / width), 7))) // 2
    else:
        column_padding = (all_columns - int(round(width * (all_rows / height), 7))) // 2
    rows, columns = all_rows - 2 * row_padding, all_columns - 2 * column_padding
    to_picture = _canvas_to_picture(height, width, canvas)
    side = tile / (tile // patch)  # pixels of the canvas per token, as if tokens were evenly spaced
    region = (
        column_padding * side,
        row_padding * side,
        (column_padding + columns) * side,
        (row_padding + rows) * side,
    )
    if max_tiles is not None:
        ratio = math.sqrt(rows * columns / (max_tiles * (tile // patch) ** 2))
        if ratio > 1.1:
            rows, columns = int(rows // ratio), int(columns // ratio)
    whole = to_picture((0, 0, canvas_width, canvas_height))
    tiles = Tiles(canvas_height // tile, canvas_width // tile, whole, seen=tile // patch * patch / tile)
    return View(rows, columns, to_picture(region), newlines="each row", tiles=tiles)


def _canvas_to_picture(height: int, width: int, canvas: tuple[int, int]) -> Callable[[Box], Box]:
    """A function from boxes in canvas pixels to boxes in picture pixels, as the image processors resize and pad."""
    across, down = canvas[1] / width, canvas[0] / height
    if across < down:
        resized_width, resized_height = canvas[1], min(math.ceil(height * across), canvas[0])
    else:
        resized_width, resized_height = min(math.ceil(width * down), canvas[1]), canvas[0]
    left, top = (canvas[1] - resized_width) // 2, (canvas[0] - resized_height) // 2
    x_scale, y_scale = width / resized_width, height / resized_height

    def to_picture(box: Box) -> Box:
        return (
            (box[0] - left) * x_scale,
            (box[1] - top) * y_scale,
            (box[2] - left) * x_scale,
            (box[3] - top) * y_scale,
        )

    return to_picture
