"""Converts samples of more than 8 bits to 8 bits, so that a ramp stays a ramp. Pillow itself clips them at 255."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF's tags
_UNSIGNED = 1
_SIXTEEN_BITS = ("PNG", "PPM")  # formats whose deepest samples have 16 bits, which some releases of Pillow open as 32


class StoredSamples(NamedTuple):
    """How a file stores its samples, where Pillow's mode does not show it.

    Attributes:
        bits: per sample in the file; 0 if the mode shows it.
        white_is_zero: whether the lowest value is white and Pillow does not invert it.
        unsigned: whether 32-bit integers, which Pillow takes as signed, are unsigned.
    """

    bits: int = 0
    white_is_zero: bool = False
    unsigned: bool = False


def stored_samples(picture: Image.Image) -> StoredSamples:
    """How a file stores its samples. Call it before the picture is loaded, because loading discards this."""
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        bits, form = tags.get(_BITS_PER_SAMPLE, (1,))[0], tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0]
        return StoredSamples(bits, tags.get(_PHOTOMETRIC) == 0, bits == 32 and form == _UNSIGNED)
    if picture.format == "PNG" and picture.tile:  # type: ignore[attr-defined]
        mode = str(picture.tile[0][3])  # type: ignore[attr-defined]  # such as "RGB;16B" or "L;2"
        return StoredSamples(int(mode.partition(";")[2].rstrip("B") or 8) if mode[:1] != "P" else 8)
    return StoredSamples(16 if picture.format in _SIXTEEN_BITS and picture.mode == "I" else 0)


def to_eight_bits(picture: Image.Image, stored: StoredSamples) -> Image.Image:
    """The picture with 8 bits per sample: the high 8 of 16 or 12; larger integers and floats are scaled by their range.

    By range: the lowest value becomes black, the highest white, and NaN black. A picture with a single value is black.

    Raises:
        ValueError: a float picture has no finite value.
    """
    if not picture.mode.startswith("I") and picture.mode != "F":
        return picture
    values = np.asarray(picture)
    if picture.mode.startswith("I;16") or (stored.bits == 16 and picture.format in _SIXTEEN_BITS):
        levels = values >> ((stored.bits or 16) - 8)
    else:
        levels = _spread(values.view(np.uint32) if stored.unsigned and picture.mode == "I" else values)
    eight = levels.clip(0, 255).astype(np.uint8)
    made = Image.fromarray(255 - eight if stored.white_is_zero else eight)
    made.info = dict(picture.info)
    return made


def _spread(values: np.ndarray) -> np.ndarray:
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        raise ValueError("none of its values is a finite number")
    low, high = numbers[finite].min(), numbers[finite].max()
    with np.errstate(invalid="ignore"):
        shares = (np.nan_to_num(numbers, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1)
    return (shares * 255).round()
