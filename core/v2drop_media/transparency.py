"""Finds the transparent parts of a picture, however its format marks them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .depth import StoredSamples


def alpha_of(picture: Image.Image, stored: StoredSamples) -> Image.Image | None:
    """How opaque each pixel of a loaded picture is, mode "L"; None if all are opaque."""
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return picture.getchannel(picture.mode[-1])
    transparent = picture.info.get("transparency")
    if picture.mode == "P":
        alone = picture.palette is not None and picture.palette.mode == "RGBA"
        return picture.convert("RGBA").getchannel("A") if alone or transparent is not None else None
    if transparent is None or picture.mode not in ("1", "L", "I", "I;16", "RGB"):
        return None
    return _all_but(picture, _as_stored(transparent, picture, stored))


def _as_stored(color: int | tuple[int, ...], picture: Image.Image, stored: StoredSamples) -> int | tuple[int, ...]:
    """PNG's one transparent colour, converted from the file's bit depth to that of Pillow's samples."""
    if picture.mode == "L" and stored.bits in (2, 4) and isinstance(color, int):
        return color * 255 // (2**stored.bits - 1)
    if picture.mode == "RGB" and stored.bits == 16 and isinstance(color, tuple):
        return tuple(sample >> 8 for sample in color)
    return color


def _all_but(picture: Image.Image, color: int | tuple[int, ...]) -> Image.Image:
    """0 where the picture has this colour, 255 elsewhere."""
    values = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    same = (values == np.array(color)).all(-1) if values.ndim == 3 else values == color
    return Image.fromarray(np.where(same, 0, 255).astype(np.uint8))
