"""Qwen2-VL's loaders: media come out at the size that the checkpoint wants, and what cannot be read is told."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from PIL import Image
from support.media_files import BROKEN_IMAGES, BROKEN_VIDEOS, broken_image, broken_video, frames, write_video
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

from v2drop import MediaError
from v2drop.installing import pip_install
from v2drop_qwen2_vl import load_image, load_video

TOKEN = {"patch_size": 6, "merge_size": 2, "temporal_patch_size": 2}
IMAGES = Qwen2VLImageProcessor(size={"shortest_edge": 96 * 96, "longest_edge": 144 * 144}, **TOKEN)
VIDEOS = Qwen2VLVideoProcessor(size={"shortest_edge": 96 * 96 - 96, "longest_edge": 96 * 96 + 96}, **TOKEN)


@pytest.mark.parametrize("size", [(96, 96), (144, 96), (640, 480), (50, 30), (1, 1), (3, 300), (2000, 20)])
def test_a_picture_has_the_size_that_the_checkpoint_wants(tmp_path, size):
    Image.new("RGB", size, "red").save(tmp_path / "picture.png")
    picture = load_image(tmp_path / "picture.png", IMAGES)
    assert picture.mode == "RGB"
    assert not picture.width % 12
    assert not picture.height % 12
    assert 96 * 96 <= picture.width * picture.height <= 144 * 144
    grid = IMAGES(images=[picture], return_tensors="pt")["image_grid_thw"]
    assert grid.tolist() == [[1, picture.height // 6, picture.width // 6]]


def test_a_picture_that_fits_is_left_as_it_is(tmp_path):
    original = Image.fromarray(frames(1, noise=60)[0])
    original.save(tmp_path / "picture.png")
    assert load_image(tmp_path / "picture.png", IMAGES).tobytes() == original.tobytes()


def test_a_video_is_read_with_its_times(tmp_path):
    write_video(tmp_path / "clip.mp4")
    shown, metadata = load_video(tmp_path / "clip.mp4", VIDEOS, fps=2)
    assert shown.shape == (8, 3, 96, 96)
    assert (shown.round() - torch.from_numpy(frames()).permute(0, 3, 1, 2)).abs().mean() < 3
    assert metadata["frames_indices"] == list(range(8))
    assert metadata["fps"] == 2
    assert metadata["video_backend"] == "pyav"
    inputs = VIDEOS(
        videos=[shown], video_metadata=[metadata], do_sample_frames=False, return_metadata=True, return_tensors="pt"
    )
    assert inputs["video_grid_thw"].tolist() == [[4, 16, 16]]
    assert list(inputs["video_metadata"][0]["frames_indices"]) == list(range(8))


@pytest.mark.parametrize(("fps", "number"), [(1, 8), (2, 16), (25, 200), (1000, 200), (1e-6, 4)])
def test_fps_says_how_many_frames(tmp_path, fps, number):
    write_video(tmp_path / "clip.mp4", frames(200, side=32), rate=25)
    shown, metadata = load_video(tmp_path / "clip.mp4", VIDEOS, fps)
    assert len(shown) == len(metadata["frames_indices"]) == number
    assert metadata["frames_indices"][-1] == 199


def test_the_video_processors_numbers_of_frames_hold(tmp_path):
    write_video(tmp_path / "clip.mp4", frames(40))
    few = Qwen2VLVideoProcessor(size=dict(VIDEOS.size), max_frames=6, **TOKEN)
    assert len(load_video(tmp_path / "clip.mp4", few)[0]) == 6


def test_three_frames_are_read_as_two_and_one_is_no_video(tmp_path):
    assert len(load_video(write_video(tmp_path / "three.mp4", frames(3)), VIDEOS)[0]) == 2
    with pytest.raises(MediaError, match=r"1 frame.*as a picture"):
        load_video(write_video(tmp_path / "one.mp4", frames(1)), VIDEOS)


@pytest.mark.parametrize("kind", BROKEN_VIDEOS)
def test_what_is_wrong_with_a_video_is_told(tmp_path, kind):
    path = broken_video(kind, tmp_path)
    with pytest.raises(MediaError, match=BROKEN_VIDEOS[kind]) as told:
        load_video(path, VIDEOS)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("kind", BROKEN_IMAGES)
def test_what_is_wrong_with_a_picture_is_told(tmp_path, kind):
    path = broken_image(kind, tmp_path)
    with pytest.raises(MediaError, match=BROKEN_IMAGES[kind]) as told:
        load_image(path, IMAGES)
    assert str(path) in str(told.value)


def test_a_picture_too_narrow_for_the_checkpoint_is_told(tmp_path):
    Image.new("RGB", (2000, 11)).save(tmp_path / "narrow.png")
    with pytest.raises(MediaError, match=r"2000 x 11 pixels.*crop it"):
        load_image(tmp_path / "narrow.png", IMAGES)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_fps_is_a_number_above_zero(tmp_path, fps):
    with pytest.raises(MediaError, match="fps="):
        load_video(write_video(tmp_path / "clip.mp4"), VIDEOS, fps)


def test_the_adapter_needs_none_of_the_readers():
    script = (
        "import sys\n"
        "for name in ('qwen_vl_utils', 'av', 'torchvision', 'PIL'): sys.modules[name] = None\n"
        "import v2drop_qwen2_vl\n"
        "try: v2drop_qwen2_vl.load_video('clip.mp4', None)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert pip_install("v2drop[qwen2-vl]") in done.stdout
