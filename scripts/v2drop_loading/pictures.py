"""Pictures for a page: as data URIs, or several side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

SMALL = 320  # pixels: pictures up to this size are stored as they are, larger ones as JPEG
GAP = 4  # pixels between pictures placed side by side


def as_data_uri(image: Image.Image, largest: int, lossless: int = SMALL) -> str:
    """Encode a picture with a longer side of at most `largest` pixels; up to `lossless` pixels without loss."""
    kind, options = ("png", {}) if max(image.size) <= lossless else ("jpeg", {"quality": 85})
    if max(image.size) > largest:
        image = image.copy()
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.convert("RGB").save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def side_by_side(images: Sequence[Image.Image], most: int = 4) -> Image.Image:
    """Join pictures, scaled to one height, with white gaps. Of more than `most`, evenly spaced ones are used."""
    if len(images) > most:
        images = [images[round(number * (len(images) - 1) / (most - 1))] for number in range(most)]
    height = min(image.height for image in images)
    images = [image.resize((max(1, image.width * height // image.height), height)) for image in images]
    sheet = Image.new("RGB", (sum(image.width + GAP for image in images) - GAP, height), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    return sheet


def frames_as_images(frames: Tensor) -> list[Image.Image]:
    """A video's frames [frames, 3, height, width], from 0 to 255, as pictures."""
    pixels = frames.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(frame) for frame in pixels]
