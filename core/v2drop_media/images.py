"""Reads picture files. The result is the picture that a person sees, upright and in plain RGB."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import ExifTags, Image, UnidentifiedImageError

from v2drop import Adapter, MediaError, MediaWarning

from .color import to_srgb
from .depth import stored_samples, to_eight_bits
from .transparency import alpha_of

LONGEST = 200  # times the shorter side: qwen-vl-utils' limit; beyond it, other models cannot use a picture either
HEIC_ENDINGS = (".heic", ".heif")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_COMMON = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000")  # named in errors if they are damaged
_SEVERAL = {"GIF": "frames", "WEBP": "frames", "PNG": "frames", "AVIF": "frames", "TIFF": "pages"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF's orientations


@runtime_checkable
class ReadsImages(Protocol):
    """An adapter that reads pictures itself, such as one whose checkpoints expect them at a certain size."""

    def read_image(self, path: str | Path, processor: Any) -> Image.Image:
        """The picture in a file, RGB, as `processor` expects it. Raises MediaError; `open_image` does most of it."""
        ...


def read_image(path: str | Path, adapter: Adapter, processor: Any) -> Image.Image:
    """The picture in a file, read by the adapter if it reads pictures itself, else by `open_image`."""
    return adapter.read_image(path, processor) if isinstance(adapter, ReadsImages) else open_image(path)


def open_image(path: str | Path) -> Image.Image:
    """The picture in a file as a person sees it: upright, opaque, in sRGB, 8 bits per channel; for any architecture.

    - It is turned by its EXIF orientation.
    - Transparent parts are shown over white.
    - 16-bit samples keep their high 8 bits; 32-bit integers and floats are scaled, lowest to black, highest to white.
    - An embedded ICC profile is applied unless it is damaged. CMYK without a profile becomes RGB by Pillow's rule.
    - Only the first frame of an animation or the first of several pages is read, with a MediaWarning.

    HEIC is read if pillow-heif is installed.

    Raises:
        MediaError: no such file, not a picture, a damaged one, or one too large or too narrow to work with.
    """
    if not Path(path).exists():
        raise MediaError(f"no image file {path}")
    count, kind = 1, "frames"
    try:
        with warnings.catch_warnings():  # Pillow warns about faults that it fixes, and about too many pixels
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _open(path) as picture:
                kind = _SEVERAL.get(picture.format or "", "")
                count = getattr(picture, "n_frames", 1) if kind else 1
                stored = stored_samples(picture)
                picture.load()
                alpha = alpha_of(picture, stored)
                seen = _upright(_over_white(to_srgb(to_eight_bits(picture, stored)), alpha), _orientation(picture))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = Image.MAX_IMAGE_PIXELS or 0
        raise MediaError(
            f"cannot read {path} as an image: it has more than {limit / 1e6:.0f} million pixels, Pillow's limit; models see "
            "far fewer: scale it down first"
        ) from None
    except UnidentifiedImageError:
        raise MediaError(f"cannot read {path} as an image: {_what_instead(path)}") from None
    except Exception as error:  # decoders may raise anything on damaged files
        raise MediaError(f"cannot read {path} as an image: {error or type(error).__name__}") from None
    if max(seen.size) > LONGEST * min(seen.size):
        raise MediaError(
            f"{path} is {seen.width} x {seen.height} pixels: the longer side of a picture may be up to {LONGEST} times "
            "the shorter one; crop it first"
        )
    if count > 1:
        warnings.warn(f"{path} holds {count} {kind}: the first is shown", MediaWarning, stacklevel=2)
    return seen


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height of the picture in a file, upright, from its header alone: damage may go unnoticed.

    Raises:
        OSError: no such file, or not a picture. Pillow may raise others on a damaged header.
    """
    with _open(path) as picture:
        if picture.format == "TIFF":
            tags = picture.tag_v2
            size, orientation = (tags[256], tags[257]), tags.get(ExifTags.Base.Orientation, 1)
        else:
            size, orientation = picture.size, _orientation(picture) if "exif" in picture.info else 1
        return size[::-1] if orientation > 4 else size


def image_endings() -> set[str]:
    """The endings, such as ".png", of files that `open_image` reads, or whose error says how to read them."""
    formats = Image.registered_extensions()
    return {*HEIC_ENDINGS, *(ending for ending, name in formats.items() if name in Image.OPEN)}


def _open(path: str | Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        if _brand(path) not in _HEIC_BRANDS:
            raise
        try:
            import pillow_heif
        except ImportError:
            raise UnidentifiedImageError from None
        pillow_heif.register_heif_opener()
        return Image.open(path)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, or 1 if there is none; a damaged EXIF block is ignored."""
    if picture.format == "TIFF":
        return 1  # Pillow turns these when it loads them, and in some releases still reports the orientation
    with suppress(Exception):
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return orientation if orientation in _TURNS else 1
    return 1


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    """ImageOps.exif_transpose is not used: it also rewrites the EXIF block, and fails if that is damaged."""
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _over_white(picture: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is None:
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=alpha)
    return white


def _brand(path: str | Path) -> bytes:
    """The brand of an ISO media file (HEIC, AVIF, mp4); b"" for other files."""
    with open(path, "rb") as file:
        start = file.read(12)
    return start[8:12] if start[4:8] == b"ftyp" else b""


def _what_instead(path: str | Path) -> str:
    with open(path, "rb") as file:
        start = file.read(16)
    if not start:
        return "it is empty"
    if _brand(path) in _HEIC_BRANDS:
        return "it is a HEIC picture, which Pillow reads with the help of pillow-heif: pip install pillow-heif"
    for name in _COMMON:
        accepts = Image.OPEN[name][1] if name in Image.OPEN else None
        if accepts is not None and (answer := accepts(start)):  # a string says why this build of Pillow cannot read it
            return (
                answer
                if isinstance(answer, str)
                else f"it is a {name} file that is damaged or cut off, or of a kind that Pillow does not read"
            )
    if start[4:8] == b"ftyp" or start[:4] == b"\x1aE\xdf\xa3" or start[8:12] == b"AVI ":
        return "it looks like a video: pass it as --video on the command line, to load_video in Python"
    return "it holds no picture in a format that Pillow reads, such as PNG or JPEG"
