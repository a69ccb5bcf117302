"""When the frames of a video were shown, from what processors return about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def frame_times(inputs: Mapping[str, Any], video: int, frames: int) -> list[float]:
    """Seconds from a video's first frame at which each of its `frames` sampled frames came; NaN where not told.

    Args:
        inputs: what a processor returned; asked with `return_metadata=True` it returns `video_metadata`. Its entries' own
            `frame_times`, in seconds, hold before numbers of frames divided by their rate, which is all that stock entries
            tell and wrong where the rate varies.
        video: which of the batch's videos.
        frames: how many frames the model sees, padding included.
    """
    metadata = inputs.get("video_metadata") or []
    about = metadata[video] if video < len(metadata) else {}
    times = _told_times(about)[:frames]
    if not times:
        return [math.nan] * frames
    return times + [times[-1]] * (frames - len(times))  # processors repeat the last frame to fill a temporal patch


def _told_times(about: Mapping[str, Any]) -> list[float]:
    try:
        return [float(time) for time in about["frame_times"]]
    except (KeyError, AttributeError):  # the latter from transformers' own, whose `get` has no default either
        pass
    rate, shown = about.get("fps"), about.get("frames_indices")
    return [float(number) / float(rate) for number in shown] if rate and shown is not None else []
