"""Reading picture files: what is told of them, and which are refused, by what name."""

from __future__ import annotations

import ast
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from support.media_files import frames
from support.picture_cases import CASES, SMOOTH, encoded, exif
from support.picture_files import GRAY, png, tiff

import v2drop_media
from v2drop import MediaError, MediaWarning
from v2drop_media.images import image_endings, open_image
from v2drop_qwen2_vl import load_image

SEVERAL = {"GIF": "frames", "WEBP": "frames", "PNG": "frames", "TIFF": "pages"}
if features.check("avif"):
    SEVERAL["AVIF"] = "frames"
HEIC = bytes.fromhex("0000001c6674797068656963000000006d6966316865696300000000") + bytes(100)


def saved(folder, data):
    path = folder / "picture"
    path.write_bytes(data)
    return path


def animation(name, number=3):
    shown = [Image.fromarray(frame) for frame in frames(number)]
    file = io.BytesIO()
    lossless = {"lossless": True} if name == "WEBP" else {}
    shown[0].save(file, name, save_all=True, append_images=shown[1:], **lossless)
    return file.getvalue()


@pytest.mark.parametrize("name", SEVERAL)
def test_the_first_of_several_is_shown_and_told(tmp_path, name):
    path = saved(tmp_path, animation(name))
    with pytest.warns(MediaWarning, match=f"picture holds 3 {SEVERAL[name]}: the first is shown"):
        shown = open_image(path)
    assert np.abs(np.asarray(shown).astype(int) - frames(3)[0]).mean() < 1  # another frame is 17 off


@pytest.mark.parametrize(
    "name", ["png orientation 1", "mpo orientation 6", "tiff-lzw orientation 3", "gif transparent"]
)
def test_nothing_is_told_of_a_picture_that_is_shown_as_a_whole(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(saved(tmp_path, CASES[name][0]))


def test_an_mpo_of_several_views_is_its_first_one(tmp_path):
    """Phones keep previews and depth maps behind the picture."""
    file = io.BytesIO()
    views = [Image.fromarray(SMOOTH), Image.new("RGB", (96, 72))]
    views[0].save(file, "MPO", save_all=True, append_images=views[1:], quality=95)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MediaWarning)
        assert np.abs(np.asarray(open_image(saved(tmp_path, file.getvalue()))).astype(int) - SMOOTH).max() < 10


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "tiff-lzw", *(["avif"] if "AVIF" in SEVERAL else [])])
def test_a_truncated_file_is_refused_with_a_reason(tmp_path, name, share):
    data = CASES[f"{name} orientation 1"][0]
    path = saved(tmp_path, data[: int(len(data) * share)])
    with pytest.raises(MediaError, match=r"cannot read .*picture as an image: \S+") as told:
        open_image(path)
    assert "video" not in str(told.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (HEIC, "HEIC picture, which Pillow reads with the help of pillow-heif: pip install pillow-heif"),
        (tiff(np.zeros((8, 8), np.float64)), "TIFF file that is .* of a kind that Pillow does not read"),
        (
            tiff(np.zeros((8, 8), np.uint16), ">", white_is_zero=True),
            "TIFF file that is .* of a kind that Pillow does not",
        ),
        (tiff(np.full((8, 8), np.nan, np.float32)), "none of its values is a finite number"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(tmp_path, data, told):
    with pytest.raises(MediaError, match=told):
        open_image(saved(tmp_path, data))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_exif_block_does_not_spoil_a_picture(tmp_path, name):
    path = saved(tmp_path, encoded(SMOOTH, name, exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage"))
    assert open_image(path).size == (96, 72)


def test_an_exif_block_that_cannot_be_written_again_still_turns_the_picture(tmp_path):
    """Pillow's own exif_transpose ends in a TypeError."""
    block = exif(6)
    block[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}  # the place where it was taken
    damaged = bytearray(block.tobytes())
    damaged[44:46] = b"\x03\x02"  # the type of that "N", no longer text
    assert open_image(saved(tmp_path, encoded(SMOOTH, "JPEG", exif=bytes(damaged)))).size == (72, 96)


def test_the_public_reader_of_qwen_turns_and_blends_too(tmp_path):
    from support.picture_cases import WITH_ALPHA, over_white, turned
    from transformers import Qwen2VLImageProcessor

    processor = Qwen2VLImageProcessor(size={"shortest_edge": 2000, "longest_edge": 20000}, patch_size=6, merge_size=2)
    path = saved(tmp_path, encoded(turned(WITH_ALPHA, 8), "PNG", exif=exif(8)))
    assert np.array_equal(np.asarray(load_image(path, processor)), over_white(SMOOTH))


def test_a_ramp_of_16_bits_keeps_all_256_levels(tmp_path):
    ramp = np.arange(65536).reshape(256, 256)
    levels = np.asarray(open_image(saved(tmp_path, png(ramp, GRAY, 16))))[..., 0]
    assert np.array_equal(levels, ramp >> 8)


def test_folders_are_searched_for_pictures_that_need_a_library_too():
    assert {".jpg", ".png", ".webp", ".tif", ".heic", ".heif"} <= image_endings()
    assert ".pdf" not in image_endings()  # Pillow writes it only


def test_nobody_else_opens_picture_files():
    """Whoever opens one by Pillow alone shows a model what nobody sees."""
    root = Path(v2drop_media.__file__).parents[2]
    files = [file for top in ("core", "adapters", "scripts") for file in (root / top).rglob("*.py")]
    opening = {file.name for file in files if any(map(_opens, ast.walk(ast.parse(file.read_text()))))}
    assert len(files) > 100
    assert opening <= {"images.py", "video_packets.py"}  # the last tells a picture from a video


def _opens(node):
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return (
        is_call and node.func.attr == "open" and isinstance(node.func.value, ast.Name) and node.func.value.id == "Image"
    )


def test_adapters_import_no_other_adapter():
    root = Path(v2drop_media.__file__).parents[2] / "adapters"
    for folder in root.glob("v2drop_*"):
        text = "".join(file.read_text() for file in folder.rglob("*.py"))
        others = {f"v2drop_{name}" for name in ("llava", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl")}
        imported = {word for line in text.splitlines() if "import" in line for word in line.replace(".", " ").split()}
        assert not imported & (others - {folder.name}), folder.name
