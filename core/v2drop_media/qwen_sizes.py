"""Sizes of pictures and frames for the models that take their media from qwen-vl-utils: Qwen2-VL and its successors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2drop import MediaError
from v2drop.installing import pip_install

if TYPE_CHECKING:
    from PIL import Image


def read_scaled(path: str | Path, image_processor: Any) -> Image.Image:
    """`open_image` of a file, scaled by qwen-vl-utils to the size that a checkpoint wants.

    Args:
        path: the file.
        image_processor: the checkpoint's own, `processor.image_processor`: its patches and its limits of pixels hold, not
            qwen-vl-utils' defaults. The processor then finds nothing left to resize.

    Raises:
        MediaError: the file cannot be read or used.
        ImportError: qwen-vl-utils is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    from .images import open_image

    picture = open_image(path)
    check_scalable(path, picture.width, picture.height, image_processor)
    return qwen_vl_utils().fetch_image({"image": picture, **limits(image_processor)}, token_side(image_processor))


def check_scalable(path: str | Path, width: int, height: int, processor: Any) -> None:
    """Raise MediaError where qwen-vl-utils cannot scale a picture or frame of a file to what a checkpoint wants."""
    side = processor.patch_size * processor.merge_size
    try:
        scaled = qwen_vl_utils().smart_resize(height, width, side, **limits(processor))
    except ValueError:
        scaled = (0, 0)
    if not all(scaled):
        raise MediaError(
            f"{path} is {width} x {height} pixels: too much longer in one direction than in the other for this model, which "
            f"takes up to {processor.size['longest_edge']:,} pixels in steps of {side}; crop it first"
        )


def limits(processor: Any) -> dict[str, int]:
    """The fewest and most pixels of a picture or frame, as an image or video processor has them, for qwen-vl-utils."""
    return {"min_pixels": processor.size["shortest_edge"], "max_pixels": processor.size["longest_edge"]}


def token_side(processor: Any) -> int:
    """The patch size to tell qwen-vl-utils, which takes 2 x 2 patches for a token whatever the processor's merge size is."""
    return processor.patch_size * processor.merge_size // 2


def qwen_vl_utils() -> Any:
    """The module. Imported late: it and torchvision are needed for reading alone."""
    try:
        from qwen_vl_utils import vision_process  # type: ignore[import-untyped]
    except ImportError as error:
        told = f"{error}: Qwen2-VL's media are read with it: {pip_install('v2drop[qwen2-vl]')}"
        raise ImportError(told) from error
    return vision_process
