"""Reading videos as players show them: by PyAV, upright, in square pixels, each frame with its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from v2drop import MediaError

from .video_frames import FramePainter
from .video_packets import damaged, decode, open_stream, read_packets
from .video_times import Sample, Timeline

if TYPE_CHECKING:
    from av import VideoFrame

    from .video_metadata import SampledVideo


class Video:
    """A video file that holds frames.

    Attributes:
        path: the file.
        height, width: of a frame as it is shown, in pixels.
        timeline: when each frame comes on the screen; frames that cannot be decoded, since they come before the first key
            frame, are not counted.

    Raises:
        MediaError: no such file, or none that holds frames to read, which the message tells.
        ImportError: PyAV is missing (`pip install av`).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        container, stream = open_stream(path)
        with container:
            self._packets = read_packets(container, stream, path)
            shown, clock, rate = (
                self._packets.shown,
                stream.time_base or Fraction(1),
                stream.average_rate or Fraction(1),
            )
            self.timeline = Timeline([time - shown[0] for time in shown], clock, 1 / rate)
            self._paint = FramePainter(path, stream.sample_aspect_ratio)
        first = next(self.frames([0]))
        self.height, self.width = first.shape[1:]

    def frames(self, numbers: Sequence[int]) -> Iterator[Tensor]:
        """Decode frames by number, in ascending order; numbers may repeat.

        Returns:
            For each number a frame, uint8 [3, height, width] in RGB.

        Raises:
            MediaError: the file is damaged or cut off.
        """
        last, picture = -1, None
        decoded = self._decode([self._packets.shown[number] for number in sorted(set(numbers))])
        for number in numbers:
            if number != last or picture is None:
                last, picture = number, self._paint(next(decoded))
            yield picture

    def read(self, sample: Sample) -> tuple[Iterator[Tensor], SampledVideo]:
        """The frames of a sample, as `frames` returns them, and what a processor is told about them."""
        from .video_metadata import SampledVideo

        return self.frames(sample.numbers), SampledVideo(self.timeline, sample, self.width, self.height)

    def _decode(self, times: Sequence[int]) -> Iterator[VideoFrame]:
        """The frames that come at these times, ascending, in ticks."""
        found = 0
        # some formats' seeking leads astray: what is not found so is looked for from the file's start
        for seek in (True, False):
            for frame in self._pass(times[found:], seek):
                found += 1
                yield frame
            if found == len(times):
                return
        raise damaged(self.path)

    def _pass(self, times: Sequence[int], seek: bool) -> Iterator[VideoFrame]:
        """The frames that come at these times, up to the first that is not found."""
        import av

        container, stream = open_stream(self.path)
        with container:
            frames, at = self._packets.timed(decode(container, stream)), self._packets.shown[0]
            try:
                for time in times:
                    start = self._packets.start_of(time) if seek else None
                    if start is not None and start[0] > at:  # else the frame is among those that come next
                        container.seek(start[1], stream=stream)
                        frames = self._packets.timed(decode(container, stream))
                    found, frame = next(
                        (each for each in frames if each[0] is not None and each[0] >= time), (None, None)
                    )
                    if frame is None or found != time or frame.is_corrupt:
                        return
                    at = time
                    yield frame
            except (av.FFmpegError, OSError):
                return


def read_video(path: str | Path, fps: float) -> tuple[Tensor, SampledVideo]:
    """A video's frames, `fps` of each second as it is shown, and at most as many as were filmed.

    Args:
        path: the file.
        fps: frames a second.

    Returns:
        Frames, uint8 [frames, 3, height, width] in RGB, and their metadata. Both go to a processor as they are:
        `processor(videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_metadata=True, ...)`.

    Raises:
        MediaError: the file cannot be read, or `fps` is not a number above 0.
        ImportError: PyAV is missing (`pip install av`).
    """
    check_fps(fps)
    video = Video(path)
    frames, metadata = video.read(video.timeline.every(1 / Fraction(fps)))
    return torch.stack(list(frames)), metadata


def check_fps(fps: float) -> None:
    """Raise MediaError unless frames a second are a number above 0."""
    if not (math.isfinite(fps) and fps > 0):
        raise MediaError(f"fps={fps!r}: frames a second are a number above 0, such as 2")
