"""What each vision token shows, in the order of the model's tokens: the labels that help a model to learn to look.

Each token has five: its digit (10: none), its colour (6: none), its cell, and in videos, where it shows a digit, whether
that is the digit that comes first (0) or goes last (1) while it is alone, and once it has moved, which way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from v2drop_zoo.clips import FRAMES, PAIR, WAYS, Clip
from v2drop_zoo.scenes import COLOURS, Digit, Scene

IGNORED = -100
PATCH = 12  # pixels on a side of what one vision token shows, in every model of the zoo
TILE = 96  # pixels on a side of a tile of the LLaVA-NeXT model
NO_DIGIT, NO_COLOUR = 10, len(COLOURS)


def patch_labels(owner: np.ndarray, digits: Sequence[Digit], grid: tuple[int, int], names: Sequence[int]) -> Tensor:
    """The labels of each patch of one picture, int64 [height / 12, width / 12, 5].

    Args:
        owner: which digit's ink each pixel shows, -1 for none, [height, width].
        digits: the digits.
        grid: rows and columns of cells.
        names: the number of each cell's name, row by row.
    """
    rows, columns = owner.shape[0] // PATCH, owner.shape[1] // PATCH
    patches = owner.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2).reshape(rows * columns, -1)
    labels = torch.full((rows * columns, 5), IGNORED)
    for index, owners in enumerate(patches):
        inked = owners[owners >= 0]
        cell = names[index // columns * grid[0] // rows * grid[1] + index % columns * grid[1] // columns]
        if len(inked) < 0.08 * owners.size:
            labels[index, :3] = torch.tensor([NO_DIGIT, NO_COLOUR, cell])
        else:
            digit = digits[int(np.bincount(inked).argmax())]
            labels[index, :3] = torch.tensor([digit.value, list(COLOURS).index(digit.colour), cell])
    return labels.reshape(rows, columns, 5)


def one_grid(scene: Scene, grid: tuple[int, int], names: Sequence[int]) -> Tensor:
    """LLaVA: patches row by row, [V, 5]."""
    return patch_labels(scene.owner, scene.digits, grid, names).flatten(0, 1)


def base_and_tiles(scene: Scene, grid: tuple[int, int], names: Sequence[int]) -> Tensor:
    """LLaVA-NeXT: the whole picture squeezed into one tile, then all rows of the tiles, a newline token after each.

    Tiles are looked at one by one, so that their patches cannot know their cell; the squeezed picture's can.
    """
    height, width = scene.owner.shape
    steps = np.arange(TILE)
    squeezed = scene.owner[steps * height // TILE][:, steps * width // TILE]
    base = patch_labels(squeezed, scene.digits, grid, names).flatten(0, 1)
    tiles = patch_labels(scene.owner, scene.digits, grid, names)
    tiles[..., 2] = IGNORED
    newlines = torch.full((tiles.shape[0], 1, 5), IGNORED)
    return torch.cat([base, torch.cat([tiles, newlines], dim=1).flatten(0, 1)])


def frame_pairs(shown: Scene | Clip, grid: tuple[int, int], names: Sequence[int]) -> Tensor:
    """Qwen2-VL: patches row by row, for a video one pair of frames after the other."""
    if isinstance(shown, Scene):
        return one_grid(shown, grid, names)
    pairs = []
    alone = (0, FRAMES // PAIR - 1)  # when the first digit, and the last, has the canvas to itself
    for pair, owner in enumerate(shown.owner[::PAIR]):
        labels = patch_labels(owner, shown.digits, grid, names).flatten(0, 1)
        for index, (digit, way) in enumerate(zip(shown.digits, shown.ways, strict=True)):
            its = labels[:, 0] == digit.value
            if pair == alone[index]:
                labels[its, 3] = index
            if pair > index:
                labels[its, 4] = list(WAYS).index(way)
        pairs.append(labels)
    return torch.cat(pairs)


LAYOUTS: dict[str, Callable[..., Tensor]] = {
    "llava": one_grid,
    "llava_next": base_and_tiles,
    "qwen2_vl": frame_pairs,
}
