"""Qwen2-VL's videos: a grid of patches for each pair of frames, of which 2 x 2 are merged into one vision token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from v2drop import Medium
from v2drop.video import frame_times

from .image import grid_medium


def video_medium(grid: Sequence[int], vision: Any, inputs: Mapping[str, Any], number: int) -> Medium:
    """The video `number` of the batch, of `grid`: (frame pairs, height, width), the last two in patches."""
    pairs, together = grid[0], vision.temporal_patch_size
    times = frame_times(inputs, number, pairs * together)[::together]
    spans = [(pair * together, (pair + 1) * together - 1) for pair in range(pairs)]
    return grid_medium(grid, vision, list(zip(spans, times, strict=True)), is_video=True)


def load_video(path: Any, fps: float) -> Any:
    """Filled in with the command."""
    raise NotImplementedError
