"""Reads videos with PyAV as players show them: upright, in square pixels, each frame with its time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

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
        height, width: size of a frame as it is shown, in pixels.
        timeline: when each frame is shown; frames before the first key frame cannot be decoded and are not counted.

    Raises:
        MediaError: no such file, or it holds no frames that can be read; the message says why.
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
        """The frames of a sample, as `frames` returns them, and their metadata for a processor."""
        from .video_metadata import SampledVideo

        return self.frames(sample.numbers), SampledVideo(self.timeline, sample, self.width, self.height)

    def _decode(self, times: Sequence[int]) -> Iterator[VideoFrame]:
        """The frames shown at these times, ascending, in ticks."""
        found = 0
        # seeking goes wrong in some formats: frames not found that way are searched for from the file's start
        for seek in (True, False):
            for frame in self._pass(times[found:], seek):
                found += 1
                yield frame
            if found == len(times):
                return
        raise damaged(self.path)

    def _pass(self, times: Sequence[int], seek: bool) -> Iterator[VideoFrame]:
        """The frames shown at these times, up to the first that is not found."""
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


@runtime_checkable
class ReadsVideos(Protocol):
    """An adapter that reads videos itself, such as one whose checkpoints expect frames at a certain size."""

    def read_video(self, path: str | Path, processor: Any, fps: float) -> tuple[Tensor, SampledVideo]:
        """A video's frames, `fps` of each second, as `processor` expects them, and their metadata. Raises MediaError."""
        ...


def read_video(path: str | Path, fps: float) -> tuple[Tensor, SampledVideo]:
    """Read a video's frames, `fps` of each second as it is shown, but no more than were filmed.

    Args:
        path: the file.
        fps: frames per second.

    Returns:
        Frames, uint8 [frames, 3, height, width] in RGB, and their metadata. Pass both to a processor unchanged:
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
    """Raise MediaError unless `fps` is a finite number above 0."""
    if not (math.isfinite(fps) and fps > 0):
        raise MediaError(f"fps={fps!r}: pass a number of frames per second above 0, such as 2")
