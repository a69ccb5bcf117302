"""Turns decoded frames into the pictures that a player shows: progressive, in square pixels, upright, in RGB."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from v2drop import MediaError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph

LONGEST = 200  # times the shorter side, as for pictures
ANGLE = 0.01  # radians that a quarter turn may be off


class FramePainter:
    """Makes pictures from one video's frames, all with the size of the first.

    Args:
        path: the file, for messages.
        pixel_shape: width of a pixel by its height, from the file; None or 0 if unknown.
    """

    def __init__(self, path: str | Path, pixel_shape: Fraction | None) -> None:
        self._path, self._pixel_shape = path, pixel_shape or Fraction(1)
        self._size: tuple[int, int] | None = None
        self._graphs: dict[tuple[str, int, int, bool], Graph] = {}

    def __call__(self, frame: VideoFrame) -> Tensor:
        """The picture, uint8 [3, height, width].

        Raises:
            MediaError: its longer side is more than 200 times the shorter one, or it is shown at an angle.
        """
        self._size = self._size or self._square_size(frame)
        graph = self._graph(frame)
        graph.push(frame)
        picture = torch.from_numpy(graph.pull().to_ndarray())
        return _turned(picture.permute(2, 0, 1), frame, self._path).contiguous()

    def _square_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Width and height of a frame in square pixels. The shorter side of a pixel grows, so that nothing is lost."""
        shape = self._pixel_shape
        width = round(frame.width * max(shape, Fraction(1)))
        height = round(frame.height / min(shape, Fraction(1)))
        if max(width, height) > LONGEST * min(width, height):
            raise MediaError(
                f"{self._path} is {width} x {height} pixels: the longer side of a video may be up to {LONGEST} times the "
                "shorter one; crop it first"
            )
        return width, height

    def _graph(self, frame: VideoFrame) -> Graph:
        from av.filter import Graph

        kind = (frame.format.name, frame.width, frame.height, frame.interlaced_frame)
        if kind in self._graphs:
            return self._graphs[kind]
        graph = self._graphs[kind] = Graph()
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
        ]
        if frame.interlaced_frame:
            # lines of two moments alternate: those of the frame's own time stay, the others are filled in
            nodes.append(graph.add("field", "type=top"))
        assert self._size is not None
        nodes += [
            graph.add("scale", "{}:{}:flags=bicubic+full_chroma_int".format(*self._size)),
            graph.add("format", "rgb24"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph


def _turned(picture: Tensor, frame: VideoFrame, path: str | Path) -> Tensor:
    """Turn and mirror a picture [3, height, width] by the frame's display matrix.

    By the matrix, a pixel at (x, y) is shown at (a x + c y, b x + d y).
    """
    told: Any = frame.side_data.get("DISPLAYMATRIX")
    if told is None:
        return picture
    a, b, _, c, d = struct.unpack("5i", bytes(told)[:20])
    if min(abs(a), abs(b)) > ANGLE * max(abs(a), abs(b)):
        raise MediaError(f"{path} has a rotation of {frame.rotation} degrees: only quarter turns are supported")
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(1, 2), c, b
    return picture.flip([axis for axis, sign in ((2, a), (1, d)) if sign < 0])
