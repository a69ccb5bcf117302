"""Labels of what each vision token shows, in the order of the model's tokens, which help a model to learn to see.

Each token has five labels: its digit (10: none), its colour (6: none) and its cell; in videos, for tokens that show a
digit, also whether it is the first (0) or last (1) digit, while it is alone, and its direction, once it has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from v2drop_zoo.clips import FRAMES, PAIR, WAYS, Clip
from v2drop_zoo.scenes import COLOURS, Digit, Scene

IGNORED = -100
PATCH = 12  # pixels along a side of a vision token, in every zoo model
TILE = 96  # pixels along a side of a LLaVA-NeXT tile
NO_DIGIT, NO_COLOUR = 10, len(COLOURS)


def patch_labels(owner: np.ndarray, digits: Sequence[Digit], grid: tuple[int, int], names: Sequence[int]) -> Tensor:
    """The labels of each patch of one picture, int64 [height / 12, width / 12, 5].

    Args:
        owner: the digit whose ink each pixel shows, -1 for none, [height, width].
        digits: the digits.
        grid: rows and columns of cells.
        names: the index of each cell's name, row by row.
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
    """LLaVA-NeXT: the whole picture squeezed into one tile, then all rows of the tiles, each ending in a newline token.

    Tiles are encoded one by one, so their patches cannot know their cell; patches of the squeezed picture can.
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
    """Qwen2-VL: patches row by row; for a video, one pair of frames after another."""
    if isinstance(shown, Scene):
        return one_grid(shown, grid, names)
    pairs = []
    alone = (0, FRAMES // PAIR - 1)  # the pairs in which the first and the last digit are alone
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
