"""When the frames of a video were shown, from what processors return about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def frame_times(inputs: Mapping[str, Any], video: int, frames: int) -> list[float]:
    """Seconds from a video's start at which each of its `frames` sampled frames was shown; NaN where not told.

    Args:
        inputs: what a processor returned; asked with `return_metadata=True` it returns `video_metadata`.
        video: which of the batch's videos.
        frames: how many frames the model sees, padding included.
    """
    metadata = inputs.get("video_metadata") or []
    about = metadata[video] if video < len(metadata) else {}
    rate, shown = about.get("fps"), about.get("frames_indices")
    if not rate or shown is None or not len(shown):
        return [math.nan] * frames
    times = [float(number) / float(rate) for number in shown][:frames]
    return times + [times[-1]] * (frames - len(times))  # processors repeat the last frame to fill a temporal patch
