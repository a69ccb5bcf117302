"""Valid and broken pictures and videos, written with Pillow and PyAV."""

from __future__ import annotations

import av
import numpy as np
from PIL import Image

FRAMES, RATE, SIDE = 8, 2, 96

BROKEN_VIDEOS = {
    "missing": "no video file",
    "folder": "it is not a file",
    "empty": "it is empty",
    "cut off": "damaged or cut off",
    "cut off after its index": "damaged or cut off",
    "overwritten": "damaged or cut off",
    "random": "damaged or cut off",
    "text": "damaged or cut off",
    "no frames": "holds no frames",
    "sound only": "holds no frames",
    "unknown codec": "codec",
    "picture": r"it is a picture \(PNG\): pass it as --image",
}
BROKEN_IMAGES = {
    "missing": "no image file",
    "folder": "cannot read .* as an image",
    "empty": "it is empty",
    "cut off": "truncated",
    "text": "no picture in a format that Pillow reads",
    "video": "looks like a video: pass it as --video",
    "long": "20000 x 10 pixels.*200 times",
    "large": "million pixels.*scale it down",
    "huge": "million pixels.*scale it down",
}


def frames(number=FRAMES, side=SIDE, noise=0):
    """A bright square that moves to the right over a dark background, uint8 [number, side, side, 3]."""
    rng = np.random.default_rng(0)
    shown = np.full((number, side, side, 3), 20, dtype=np.uint8)
    for index, frame in enumerate(shown):
        left = index * (side - side // 4) // max(1, number - 1)
        frame[side // 4 : side // 2, left : left + side // 4] = (230, 200, 60)
        frame += rng.integers(0, noise + 1, frame.shape, dtype=np.uint8)
    return shown


def write_video(path, shown=None, codec="libx264", rate=RATE, **options):
    """Encode frames to a file; its suffix sets the format."""
    shown = frames() if shown is None else shown
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = shown.shape[1:3]
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
        for frame in shown:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def broken_video(kind, folder):
    """The path of something that cannot be read as a video; `kind` is one of BROKEN_VIDEOS."""
    path = folder / f"{kind.replace(' ', '-')}.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut off":
        whole = write_video(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind in ("cut off after its index", "overwritten"):  # the index comes first here, so that the file opens
        whole = bytearray(write_video(path, frames(40, noise=60), movflags="faststart").read_bytes())
        third = len(whole) // 3
        if kind == "overwritten":
            whole[third : 2 * third] = np.random.default_rng(0).bytes(third)
        path.write_bytes(whole if kind == "overwritten" else whole[: 2 * third])
    elif kind == "random":
        header = bytes.fromhex("00000018667479706d703432000000006d70343269736f6d")
        path.write_bytes(header + np.random.default_rng(0).bytes(5000))
    elif kind == "text":
        path.write_text("not a video\n" * 50)
    elif kind == "no frames":
        write_video(path, frames()[:0])
    elif kind == "sound only":
        _write_sound(path)
    elif kind == "unknown codec":
        path.write_bytes(write_video(path).read_bytes().replace(b"avc1", b"none"))
    elif kind == "picture":
        Image.new("RGB", (64, 48), "red").save(path, format="PNG")
    return path


def broken_image(kind, folder):
    """The path of something that cannot be used as a picture; `kind` is one of BROKEN_IMAGES."""
    path = folder / f"{kind.replace(' ', '-')}.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut off":
        Image.fromarray(frames(1, noise=60)[0]).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "text":
        path.write_text("not a picture\n" * 50)
    elif kind == "video":
        path.write_bytes(write_video(path.with_suffix(".mp4")).read_bytes())
    elif kind in ("long", "large", "huge"):
        size = {"long": (20_000, 10), "large": (10_000, 9_500), "huge": (20_000, 15_000)}[kind]
        Image.new("1", size).save(path)
    return path


def _write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(20):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16000, number * 1024
            container.mux(stream.encode(sound))
        container.mux(stream.encode())
