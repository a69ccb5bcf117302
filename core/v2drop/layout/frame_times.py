"""When the frames of a video were shown, from what processors return about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def frame_times(inputs: Mapping[str, Any], video: int, frames: int) -> list[float]:
    """The time of each of a video's `frames` sampled frames, in seconds from its first frame; NaN if unknown.

    Args:
        inputs: a processor's outputs; with `return_metadata=True` they include `video_metadata`. An entry's own
            `frame_times`, in seconds, take precedence over frame numbers divided by the frame rate, which is all that
            stock entries offer and wrong if the rate varies.
        video: number of the video in the batch.
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
