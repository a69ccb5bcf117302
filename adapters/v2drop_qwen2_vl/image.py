"""Reads pictures for Qwen2-VL: as a person sees them, at the size that a checkpoint expects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2drop_media.qwen_sizes import read_scaled

if TYPE_CHECKING:
    from PIL import Image


def load_image(path: str | Path, image_processor: Any) -> Image.Image:
    """A picture as a person sees it (`v2drop_media.images.open_image`), in RGB, at the size that a checkpoint expects.

    Args:
        path: the file.
        image_processor: the checkpoint's `processor.image_processor`. Its patch size and pixel limits apply, not the
            defaults of qwen-vl-utils, so the processor has nothing left to resize.

    Raises:
        MediaError: the file cannot be read or used.
        ImportError: qwen-vl-utils is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    return read_scaled(path, image_processor)
