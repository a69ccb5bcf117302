"""Converts colours to sRGB, by the ICC profile in a file if there is one, else by Pillow's own rules."""

from __future__ import annotations

import io
from functools import lru_cache
from itertools import product
from typing import Any

from PIL import Image, ImageChops, ImageCms

_SPACES = {
    "RGB": "RGB",
    "CMYK": "CMYK",
    "GRAY": "L",
}  # a profile's colour space, and the Pillow mode with its channels
_ROUNDING = 2  # levels: a profile that moves no colour by more counts as sRGB, and pixels stay as they are


def to_srgb(picture: Image.Image) -> Image.Image:
    """A picture of any 8-bit mode as opaque "RGB"; transparent parts get the colour that they have underneath.

    An ICC profile that is damaged, or made for other channels than the picture has, is ignored.
    """
    plain = _without_alpha(picture)
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            transform = _transform_to_srgb(bytes(profile))
            if transform is None:
                return plain.convert("RGB")
            if transform.input_mode == plain.mode:
                return ImageCms.applyTransform(plain, transform) or plain.convert("RGB")
            if transform.input_mode == "L" and plain.mode == "1":
                return ImageCms.applyTransform(plain.convert("L"), transform) or plain.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return plain.convert("RGB")


def _without_alpha(picture: Image.Image) -> Image.Image:
    """The picture in a mode that profiles are made for, if there is one; palettes are resolved."""
    if picture.mode in ("LA", "La"):
        return picture.convert("LA").getchannel("L")
    if picture.mode in ("RGBA", "RGBa", "PA", "P", "RGBX"):
        return Image.merge("RGB", picture.convert("RGBA").split()[:3])
    opaque = picture.copy()
    opaque.info.pop("transparency", None)  # `alpha_of` handles it, and Pillow would convert it too
    return opaque


@lru_cache(maxsize=16)
def _transform_to_srgb(profile: bytes) -> Any:
    """The transform from a profile's colours to sRGB; None if they are sRGB already. Raises what ImageCms raises."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _SPACES.get(source.profile.xcolor_space.strip())
    if mode is None:
        raise ValueError(f"a profile of the colour space {source.profile.xcolor_space}")
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "CMYK":
        return transform
    sample = _lattice() if mode == "RGB" else Image.frombytes("L", (256, 1), bytes(range(256)))
    shown = ImageCms.applyTransform(sample, transform)
    extrema: Any = ImageChops.difference(shown, sample.convert("RGB")).getextrema() if shown else None
    return transform if extrema is None or max(high for _, high in extrema) > _ROUNDING else None


def _lattice() -> Image.Image:
    levels = range(0, 256, 15)
    colors = bytes(level for color in product(levels, repeat=3) for level in color)
    return Image.frombytes("RGB", (len(levels) ** 2, len(levels)), colors)
