"""What a video file's packets show without decoding: the frame times, where decoding can start, and what is missing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from v2drop import MediaError
from v2drop.installing import pip_install

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video import VideoStream

HIDES_FRAMES = ("vp8",)  # packets may hold frames that are never shown; only decoding tells which
NO_FRAMES = "it holds no frames, or is damaged or cut off"
NOT_VIDEOS = ("tty", "image2")  # text, which FFmpeg draws, and pictures


class Packet(NamedTuple):
    """The parts of a packet that are kept; its data would fill the memory."""

    time: int | None
    decode_time: int | None
    duration: int
    starts: bool
    is_shown: bool


@dataclass(frozen=True)
class Packets:
    """The frames of a video file, in ticks of the stream's clock.

    Args:
        shown: when each frame is shown, ascending.
        starts: for each frame at which decoding can start, its time and the time to seek to; empty if unknown.
        counted: whether frames lack correct times: then the first frame decoded is the first one shown, and so on.
    """

    shown: list[int]
    starts: list[tuple[int, int]]
    counted: bool = False

    def timed(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[int | None, VideoFrame]]:
        """Each of the file's frames with the time at which it is shown."""
        return zip(self.shown, frames, strict=False) if self.counted else ((frame.pts, frame) for frame in frames)

    def start_of(self, time: int) -> tuple[int, int] | None:
        """The last of `starts` from which the frame shown at `time` can be decoded."""
        after = bisect_right(self.starts, time, key=lambda start: start[0])
        return self.starts[after - 1] if after else None


def open_stream(path: str | Path) -> tuple[InputContainer, VideoStream]:
    """Open a file and find the video in it. Close the file after use.

    Raises:
        MediaError: PyAV cannot open it, it holds no video, or one whose codec is unknown.
        ImportError: PyAV is missing.
    """
    try:
        import av
    except ImportError as error:
        told = f"{error}: videos are read with PyAV: pip install av, or {pip_install('v2drop[qwen2-vl]')}"
        raise ImportError(told) from error
    if not Path(path).exists():
        raise MediaError(f"no video file {path}")
    try:
        container = av.open(f"file:{path}")  # without a protocol, FFmpeg takes the text before a colon for one
    except (av.FFmpegError, OSError, ValueError):
        raise cannot_read(path, _why_not(path)) from None
    try:
        return container, _video_of(container, path)
    except BaseException:
        container.close()
        raise


def read_packets(container: InputContainer, stream: VideoStream, path: str | Path) -> Packets:
    """Read all packets; if they lack frame times, decode them all.

    Raises:
        MediaError: there are no frames, or the file ends before its video does.
    """
    import av

    try:
        packets = [
            Packet(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, not packet.is_discard)
            for packet in container.demux(stream)
            if packet.size
        ]
    except (av.FFmpegError, OSError):
        raise damaged(path) from None
    first = next((number for number, packet in enumerate(packets) if packet.starts), len(packets))
    usable = [packet for packet in packets[first:] if packet.is_shown]
    if not usable:
        raise cannot_read(path, NO_FRAMES)
    times = [packet.time for packet in usable if packet.time is not None]
    if times:
        _check_end(stream, packets, max(times) - min(times), max(times), path)
    if len(set(times)) < len(usable) or stream.codec_context.name in HIDES_FRAMES:
        return Packets(_decoded_times(path), [], counted=True)
    # frames before the first key frame refer to frames that are not in the file
    shown = sorted(time for time in times if time >= times[0])
    if container.format.name == "avi" and stream.codec_context.has_b_frames:  # AVI has no times, and B-frames come late
        return Packets(shown, [], counted=True)
    starts = [
        (time, time if packet.decode_time is None else packet.decode_time)
        for time, packet in zip(times, usable, strict=True)
        if packet.starts
    ]
    return Packets(shown, sorted(starts))


def decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames that can be decoded from here: those from the next key frame on.

    Raises:
        av.FFmpegError: the file is damaged.
    """
    started = False
    for packet in container.demux(stream):
        started = started or packet.is_keyframe
        if started:
            yield from packet.decode()


def cannot_read(path: str | Path, why: str) -> MediaError:
    """The error for a file that cannot be read as a video."""
    return MediaError(f"cannot read {path} as a video: {why}")


def damaged(path: str | Path) -> MediaError:
    """The error for a file that opens but cannot be decoded."""
    return MediaError(f"cannot read the frames of {path}: it is damaged or cut off")


def _video_of(container: InputContainer, path: str | Path) -> VideoStream:
    if container.format.name in NOT_VIDEOS or container.format.name.endswith("_pipe"):
        raise cannot_read(path, _why_not(path))
    # audio files store their cover as a video of one frame
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        raise cannot_read(path, "it holds no frames, only sound" if container.streams.audio else NO_FRAMES)
    if streams[0].codec_context is None:
        raise cannot_read(
            path,
            "its codec is not among those of PyAV's FFmpeg; H.264 in an mp4 works: ffmpeg -i FILE -c:v libx264 out.mp4",
        )
    streams[0].thread_type = "AUTO"  # frames in parallel too, if the codec can
    return streams[0]


def _is_cover(stream: VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _decoded_times(path: str | Path) -> list[int]:
    """The times of all frames that can be decoded. A frame without a time follows the previous one by the usual gap."""
    import av

    container, stream = open_stream(path)
    times: list[int] = []
    with container:
        rate, clock = stream.average_rate or stream.guessed_rate, stream.time_base
        step = max(1, round(1 / (rate * clock))) if rate and clock else 1
        try:
            for frame in decode(container, stream):
                if frame.pts is not None or times:
                    times.append(times[-1] + step if frame.pts is None else frame.pts)
        except (av.FFmpegError, OSError):
            raise damaged(path) from None
    if not times:
        raise cannot_read(path, "its frames have no times: put it into a container: ffmpeg -i FILE -c copy out.mp4")
    return sorted(times)


def _check_end(stream: VideoStream, packets: list[Packet], span: int, last: int, path: str | Path) -> None:
    """Raise MediaError if the file ends well before its header says: at `last`, `span` ticks after its start."""
    if len(packets) >= stream.frames > 0:
        return
    clock = stream.time_base or Fraction(1)
    gap, told = span * clock / max(1, len(packets) - 1), _told_end(stream)
    end = last * clock + max(gap, packets[-1].duration * clock)
    if told is not None and told - end > max(gap, Fraction(1, 10)):
        raise damaged(path)


def _told_end(stream: VideoStream) -> Fraction | None:
    """When the last frame ends, in seconds of the stream's clock, according to the file's header."""
    if stream.frames and stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    told = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska, WebM
    if told is None:
        return None
    hours, minutes, seconds = map(Fraction, told.groups())
    return (hours * 60 + minutes) * 60 + seconds


def _why_not(path: str | Path) -> str:
    if not Path(path).is_file():
        return "it is not a file"
    if not Path(path).stat().st_size:
        return "it is empty"
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return (
                f"it is a picture ({picture.format}): pass it as --image on the command line, to load_image in Python"
            )
    except Exception:  # whatever Pillow raises, it is not a picture
        return "it is damaged or cut off, or no video; H.264 in an mp4 works: ffmpeg -i FILE -c:v libx264 out.mp4"
