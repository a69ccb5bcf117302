"""Sizes of pictures and frames for models that use qwen-vl-utils: Qwen2-VL and its successors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2drop import MediaError
from v2drop.installing import pip_install

if TYPE_CHECKING:
    from PIL import Image


def read_scaled(path: str | Path, image_processor: Any) -> Image.Image:
    """Read a file with `open_image` and scale it with qwen-vl-utils to the size that a checkpoint expects.

    Args:
        path: the file.
        image_processor: the checkpoint's `processor.image_processor`. Its patch size and pixel limits apply, not the
            defaults of qwen-vl-utils, so the processor has nothing left to resize.

    Raises:
        MediaError: the file cannot be read or used.
        ImportError: qwen-vl-utils is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    from .images import open_image

    picture = open_image(path)
    check_scalable(path, picture.width, picture.height, image_processor)
    return qwen_vl_utils().fetch_image({"image": picture, **limits(image_processor)}, token_side(image_processor))


def check_scalable(path: str | Path, width: int, height: int, processor: Any) -> None:
    """Raise MediaError if qwen-vl-utils cannot scale a picture or frame to a size that a checkpoint accepts."""
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
    """An image or video processor's minimum and maximum pixels of a picture or frame, as qwen-vl-utils takes them."""
    return {"min_pixels": processor.size["shortest_edge"], "max_pixels": processor.size["longest_edge"]}


def token_side(processor: Any) -> int:
    """The patch size to pass to qwen-vl-utils, which assumes 2 x 2 patches per token whatever the merge size."""
    return processor.patch_size * processor.merge_size // 2


def qwen_vl_utils() -> Any:
    """The `vision_process` module. Imported late: it and torchvision are needed only to read media."""
    try:
        from qwen_vl_utils import vision_process  # type: ignore[import-untyped]
    except ImportError as error:
        told = f"{error}: Qwen2-VL's media are read with it: {pip_install('v2drop[qwen2-vl]')}"
        raise ImportError(told) from error
    return vision_process
