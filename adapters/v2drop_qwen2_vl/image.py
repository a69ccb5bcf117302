"""Reading pictures as Qwen2-VL takes them: as people see them, at the size that a checkpoint wants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2drop_media.qwen_sizes import read_scaled

if TYPE_CHECKING:
    from PIL import Image


def load_image(path: str | Path, image_processor: Any) -> Image.Image:
    """A picture as a person sees it (`v2drop_media.images.open_image`), in RGB and at the size that a checkpoint wants.

    Args:
        path: the file.
        image_processor: the checkpoint's own, `processor.image_processor`: its patches and its limits of pixels hold, not
            qwen-vl-utils' defaults. The processor then finds nothing left to resize.

    Raises:
        MediaError: the file cannot be read or used.
        ImportError: qwen-vl-utils is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    return read_scaled(path, image_processor)
