"""Reading pictures as Qwen2-VL takes them: at the size that a checkpoint wants, by qwen-vl-utils."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v2drop import MediaError

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 200  # times the shorter side: qwen-vl-utils' limit, and beyond it other models' pictures come to nothing too


def open_image(path: str | Path) -> Image.Image:
    """The picture in a file, decoded; on any architecture's behalf.

    Raises:
        MediaError: no such file, not a picture, a damaged one, or one too large or too narrow to work with.
    """
    from PIL import Image, UnidentifiedImageError

    if not Path(path).exists():
        raise MediaError(f"no image file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise MediaError(
            f"cannot read {path} as an image: it has more than {limit / 1e6:.0f} million pixels, Pillow's limit; models see "
            "far fewer: scale it down first"
        ) from None
    except UnidentifiedImageError:
        raise MediaError(f"cannot read {path} as an image: {_what_instead(path)}") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"cannot read {path} as an image: {error}") from None
    if max(picture.size) > LONGEST * min(picture.size):
        raise MediaError(
            f"{path} is {picture.width} x {picture.height} pixels: the longer side of a picture may be up to {LONGEST} times "
            "the shorter one; crop it first"
        )
    return picture


def load_image(path: str | Path, image_processor: Any) -> Image.Image:
    """A picture read by qwen-vl-utils, in RGB and at the size that a checkpoint wants.

    Args:
        path: the file.
        image_processor: the checkpoint's own, `processor.image_processor`: its patches and its limits of pixels hold, not
            qwen-vl-utils' defaults. The processor then finds nothing left to resize.

    Raises:
        MediaError: the file cannot be read or used.
        ImportError: qwen-vl-utils is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
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
        raise ImportError(f"{error}: Qwen2-VL's media are read with it: pip install 'v2drop[qwen2-vl]'") from error
    return vision_process


def _what_instead(path: str | Path) -> str:
    with open(path, "rb") as file:
        start = file.read(12)
    if not start:
        return "it is empty"
    if start[4:8] == b"ftyp" or start[:4] in (b"\x1aE\xdf\xa3", b"RIFF"):
        return "it looks like a video: pass it as --video on the command line, to load_video in Python"
    return "it holds no picture in a format that Pillow reads, such as PNG or JPEG"
