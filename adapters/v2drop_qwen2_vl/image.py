"""Qwen2-VL's pictures: a grid of patches of any size, of which 2 x 2 are merged into one vision token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from v2drop import Medium, View


def image_medium(grid: Sequence[int], vision: Any) -> Medium:
    """A picture of `grid`, (1, height, width) in patches, as `image_grid_thw` holds it."""
    return grid_medium(grid, vision, [((0, 0), float("nan"))], is_video=False)


def grid_medium(
    grid: Sequence[int], vision: Any, steps: Sequence[tuple[tuple[int, int], float]], is_video: bool
) -> Medium:
    """A view for each of the `steps` (its frames, its time) over the same grid; `vision` is the tower's configuration."""
    _, height, width = grid
    merge, patch = vision.spatial_merge_size, vision.patch_size
    size = (height * patch, width * patch)
    box = (0.0, 0.0, float(size[1]), float(size[0]))
    views = [View(height // merge, width // merge, box, frames=frames, time=time) for frames, time in steps]
    return Medium(*size, views, is_video)


def load_image(path: Any) -> Any:
    """Filled in with the command."""
    raise NotImplementedError
