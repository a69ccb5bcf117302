"""Short videos for the zoo: two real digits that appear one after the other and move, each in its own lane."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from v2drop.installing import pip_install

from .digits import Split, draw_ink, load_split
from .scenes import CELL, COLOURS, STEP, Digit, cell_names, draw_clutter, paint

SIDE = 2 * CELL  # pixels: a clip is a square of 2 x 2 cells
FRAMES, PAIR = 8, 2  # frames in a clip, and frames between two moves: the model's temporal patch
RATE = 2  # frames per second, at which video readers for Qwen2-VL sample, so that they read every frame
STRIDE = 2 * STEP  # pixels that a digit moves from one pair of frames to the next
NOISE = (
    3.0  # grey levels; scenes have more, but H.264 would spend most of a file on noise that changes with every frame
)
WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


@dataclass(frozen=True)
class Clip:
    """Frames ``[8, height, width, 3]`` uint8, digits in order of appearance, their directions, and ink owners.

    A digit's cell and box are those where it first appears; `owner` says which digit's ink each pixel of each frame
    shows (-1: none).
    """

    frames: np.ndarray
    digits: tuple[Digit, ...]
    ways: tuple[str, ...]
    owner: np.ndarray
    names: tuple[str, ...]


def draw_clip(rng: np.random.Generator, split: Split) -> Clip:
    """Draw two digits of distinct value and colour; the second appears and disappears one pair of frames after the first.

    They move along lanes that are either both rows or both columns of the canvas, each in a direction of its own.
    """
    scans = load_split(split)
    background = draw_clutter(rng, SIDE, SIDE)
    frames = background + rng.normal(0, NOISE, size=(FRAMES, SIDE, SIDE, 3)).astype(np.float32)
    owner = np.full((FRAMES, SIDE, SIDE), -1, dtype=np.int8)
    across = rng.random() < 0.5
    lanes = rng.permutation(2)
    values, colours = rng.choice(10, size=2, replace=False), rng.choice(list(COLOURS), size=2, replace=False)
    digits, ways = [], []
    for index, (lane, value, colour) in enumerate(zip(lanes, values, colours, strict=True)):
        size = int(rng.integers(24, 29))
        scan = scans[int(value)][rng.integers(len(scans[int(value)]))]
        ink = draw_ink(scan, size, rng, distort=split == "train")
        shade = np.array(COLOURS[str(colour)], dtype=np.float32) * rng.uniform(0.85, 1.05)
        forward = rng.random() < 0.5
        aside = int(lane) * CELL + int(rng.integers(2)) * STEP + int(rng.integers(4))
        near = int(rng.integers(2)) * STEP + int(rng.integers(4))
        pairs = range(index, FRAMES // PAIR - 1 + index)
        for turn, pair in enumerate(pairs):
            along = near + STRIDE * (turn if forward else len(pairs) - 1 - turn)
            along = min(along, SIDE - size)
            top, left = (aside, along) if across else (along, aside)
            if turn == 0:
                cell = top // CELL * 2 + left // CELL
                digits.append(Digit(int(value), str(colour), cell, (left, top, left + size, top + size)))
            for frame in range(pair * PAIR, (pair + 1) * PAIR):
                paint(frames[frame], owner[frame], ink, shade, top, left, index)
        ways.append(("right" if forward else "left") if across else ("down" if forward else "up"))
    pixels = np.clip(frames, 0, 255).astype(np.uint8)
    return Clip(pixels, tuple(digits), tuple(ways), owner, cell_names(2, 2))


def write_video(frames: np.ndarray, target: Path | IO[bytes]) -> None:
    """Write frames ``[n, height, width, 3]`` uint8 as an H.264 mp4 of `RATE` frames per second.

    Raises:
        ImportError: PyAV is missing (extra `zoo`).
    """
    av = _pyav()
    with av.open(str(target) if isinstance(target, Path) else target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast", "threads": "1"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())


def compressed(frames: np.ndarray) -> np.ndarray:
    """The frames after a round trip through a lossy video file: the same shape, uint8.

    A few pixels differ from run to run: the rounding of FFmpeg's scaler depends on where its buffers lie in memory.
    """
    file = io.BytesIO()
    write_video(frames, file)
    file.seek(0)
    with _pyav().open(file) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError("the zoo's videos are written with PyAV: " + pip_install("v2drop[zoo]")) from error
    return av
