"""Pictures and videos of any size, as the Qwen2-VL family encodes them: a grid of patches, with neighbours merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import UnsupportedModelError
from .vision_layout import MediaItem, View


def patch_grid(grid: Sequence[int], vision: Any, times: Sequence[float] | None = None) -> MediaItem:
    """A picture, or with `times` a video, after the processor has resized it.

    Args:
        grid: steps in time, then height and width in patches, as in `image_grid_thw` and `video_grid_thw`.
        vision: the vision tower's configuration: `patch_size` in pixels; `spatial_merge_size`, patches along each side of a
            token; `temporal_patch_size`, frames per step.
        times: seconds from the video's start to each step, or NaN.

    Raises:
        UnsupportedModelError: the configuration lacks one of these.
    """
    steps, height, width = (int(count) for count in grid)
    patch, merge, together = (
        _option(vision, name) for name in ("patch_size", "spatial_merge_size", "temporal_patch_size")
    )
    box = (0.0, 0.0, float(width * patch), float(height * patch))
    whole = View(height // merge, width // merge, box)
    if times is None:
        return MediaItem(height * patch, width * patch, [whole] * steps)
    spans = [(step * together, (step + 1) * together - 1) for step in range(steps)]
    views = [replace(whole, frames=span, time=time) for span, time in zip(spans, times, strict=True)]
    return MediaItem(height * patch, width * patch, views, is_video=True)


def _option(vision: Any, name: str) -> int:
    if not hasattr(vision, name):
        raise UnsupportedModelError(
            f"{type(vision).__name__} has no {name}, which patch_grid takes from the vision tower's configuration: pass one that "
            "has it, or describe pictures by MediaItem and View; see v2drop docs adding-an-architecture"
        )
    value: int = getattr(vision, name)
    return value
