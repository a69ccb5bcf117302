"""Realistic videos, some of them damaged, written with PyAV."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

STEADY = [Fraction(number, 10) for number in range(30)]
VARIABLE = [Fraction(number, 10) for number in range(6)] + [Fraction(4), Fraction(8)]
MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Film:
    """A video to write: a grey that grows brighter from frame to frame, with a white corner at the top left.

    `times` are in seconds; `clock` is the time base of the file.
    """

    name: str
    times: list[Fraction] = field(default_factory=lambda: STEADY)
    codec: str = "libx264"
    clock: Fraction = MILLISECOND
    size: tuple[int, int] = (96, 64)
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    degrees: float | None = None
    mirrored: bool = False
    pixel_shape: Fraction | None = None
    start: Fraction = Fraction(0)
    comb: int = 0  # grey levels by which every other line is brighter, as in interlaced video

    @property
    def step(self) -> int:
        """Grey levels from one frame to the next."""
        return min(25, 200 // len(self.times))

    def level(self, number: int) -> int:
        """The grey of a frame."""
        return 20 + self.step * number

    def write(self, folder: Path) -> Path:
        """Encode it to a file in a folder."""
        path = folder / self.name
        with av.open(str(path), "w", options=self.muxer) as container:
            stream = self._stream(container)
            container.start_encoding()
            for number, time in enumerate(self.times):
                frame = av.VideoFrame.from_ndarray(self.picture(number)).reformat(format=self.pixels)
                frame.pts, frame.time_base = round((time + self.start) / self.clock), self.clock
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    def picture(self, number: int) -> np.ndarray:
        """A frame as it is stored, uint8 [height, width, 3]."""
        width, height = self.size
        picture = np.full((height, width, 3), self.level(number), np.uint8)
        picture[1::2] += self.comb
        picture[: height // 3, : width // 3] = 255
        return picture

    def _stream(self, container: Any) -> Any:
        rate = max(1, min(1000, round(1 / self.clock)))
        stream = container.add_stream(self.codec, rate=rate, options=self.options)
        stream.width, stream.height, stream.pix_fmt = *self.size, self.pixels
        stream.codec_context.time_base = self.clock
        if self.pixel_shape is not None:
            stream.codec_context.sample_aspect_ratio = self.pixel_shape
        if self.degrees is not None:
            stream.set_display_rotation(self.degrees, hflip=self.mirrored)
        return stream


def without_first(path: Path, target: Path) -> Path:
    """Copy a video from its second key frame on, including frames that refer to the first."""
    with av.open(str(path)) as source, av.open(str(target), "w") as copy:
        stream = source.streams.video[0]
        twin = copy.add_stream_from_template(stream)
        keys = 0
        for packet in source.demux(stream):
            keys += packet.is_keyframe
            if keys > 1 and packet.size:
                packet.stream = twin
                copy.mux(packet)
    return target


def cut_off(path: Path, share: float = 0.6) -> Path:
    """Truncate a file to its first part, in place."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def write_sound(path: Path, cover: bool = False) -> Path:
    """A second of silence, with album art if `cover` is set."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac" if path.suffix == ".m4a" else "libmp3lame", rate=16000, layout="mono")
        picture = None
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        if picture is not None:
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8)).reformat(format="yuvj420p")
            for packet in (*picture.encode(grey), *picture.encode()):
                container.mux(packet)
        for number in range(20):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 16000, number * 1024
            container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path
