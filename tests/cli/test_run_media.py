"""`v2drop run` on several pictures, on videos, and on files that are neither."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from PIL import Image
from support.media_files import BROKEN_IMAGES, BROKEN_VIDEOS, broken_image, broken_video, frames, write_video
from support.tiny_checkpoints import BUILDERS, WATCHING, save_tiny

from v2drop_cli.app import run_app
from v2drop_zoo import CHECKPOINTS, zoo_models

PICTURE = str(CHECKPOINTS / "llava" / "example.png")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each architecture, as --model takes it."""
    return {"llava": "llava"} | {name: save_tiny(name, tmp_path_factory.mktemp(name)) for name in BUILDERS}


@pytest.fixture(scope="module")
def qwen(models):
    return models["qwen2_vl"]


@pytest.fixture(scope="module")
def llava_next(models):
    return models["llava_next"]


@pytest.fixture
def run(capfd, monkeypatch):
    """The command in this process: its exit code, and what it and the decoders print."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["v2drop", "run", "--max-new-tokens", "2", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_app()
        return stop.value.code, *capfd.readouterr()

    return call


@pytest.fixture
def result(run):
    """The JSON object that a call without mistakes prints."""

    def call(*arguments):
        code, out, err = run("--json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.fixture
def refusal(run):
    """What a call with a mistake prints: one message and nothing else."""

    def call(*arguments):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Error: "), err
        assert err.count("\n") == 1, err
        return err

    return call


@pytest.mark.parametrize("name", WATCHING)
def test_the_image_example_is_asked_unless_the_video_example_is(models, result, name):
    folder = models[name]
    image = result("--model", folder)
    assert image["image"] == image["images"][0]["file"] == str(folder / "example.png")
    one = {"llava_onevision": 16 + 4 * 5}.get(name, 64)
    assert image["images"][0]["vision_tokens"] == image["dropped"]["tokens_per_layer"][0] == one
    assert image["video"] is None
    assert image["prompt"] == "what is it ?"
    video = result("--model", folder, "--example", "video")
    assert video["video"]["file"] == str(folder / "example.mp4")
    assert video["video"]["vision_tokens"] == {"llava_onevision": 8 * 4 + 1}.get(name, 4 * 64)
    assert (video["image"], video["images"]) == (None, [])
    assert video["prompt"] == "what is this ?"


def test_a_video_is_told_with_its_frames_times_and_tokens(qwen, result, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames(50), rate=25)
    data = result("--model", qwen, "--video", path, "--fps", "4")
    video = data["video"]
    assert video["fps"] == 4
    assert video["frames"] == len(video["times"]) == 8
    assert video["times"][0] == 0
    assert video["times"][-1] == pytest.approx(49 / 25)
    assert video["vision_tokens"] == 4 * 64
    assert data["dropped"]["tokens_per_layer"] == [256, 128, 128, 64, 64, 64]


@pytest.mark.parametrize("name", WATCHING)
def test_pictures_and_a_video_are_asked_about_together(models, result, name):
    folder = models[name]
    two = ["--image", PICTURE, "--image", folder / "example.png"]
    data = result("--model", folder, *two, "--video", folder / "example.mp4", "--prompt", "what ?")
    assert [image["file"] for image in data["images"]] == [PICTURE, str(folder / "example.png")]
    counted = [image["vision_tokens"] for image in data["images"]] + [data["video"]["vision_tokens"]]
    # LLaVA-OneVision looks at several pictures without tiles
    assert counted == {"llava_onevision": [17, 17, 33]}.get(name, [64, 64, 256])
    assert sum(counted) == data["dropped"]["tokens_per_layer"][0]
    assert data["image"] is None


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_several_pictures_are_told_each_with_its_tokens(models, result, tmp_path, name):
    Image.new("RGB", (120, 60), "green").save(tmp_path / "wide.png")
    data = result("--model", models[name], "--image", PICTURE, "--image", tmp_path / "wide.png")
    counted = [image["vision_tokens"] for image in data["images"]]
    assert counted == {"llava": [144, 144], "llava_next": [16 + 4 * 5, 16 + 4 * 9]}[name]
    assert sum(counted) == data["dropped"]["tokens_per_layer"][0]


def test_people_are_told_the_same(qwen, run):
    code, out, _ = run("--model", qwen, "--image", PICTURE, "--video", qwen / "example.mp4")
    assert code == 0
    assert re.search(r"image   .*example.png \(64 vision tokens\)", out)
    assert re.search(r"video   .*example.mp4 \(8 frames from 0.0 to 3.5 s, 256 vision tokens\)", out)


def test_the_overlay_of_a_picture_in_tiles_shows_both_views(llava_next, result, tmp_path):
    Image.new("RGB", (200, 100), "white").save(tmp_path / "wide.png")
    result("--model", llava_next, "--image", tmp_path / "wide.png", "--overlay", tmp_path / "overlay.png")
    overlay = Image.open(tmp_path / "overlay.png").convert("L")
    assert overlay.size == (3 * 600 + 2 * 8, 2 * (22 + 300) + 8)
    whole, tiles = (overlay.crop((608, top, 1208, top + 300)) for top in (22, 22 + 300 + 8 + 22))
    bright = sum(sum(panel.histogram()[200:]) for panel in (whole, tiles)) / 600 / 300
    assert bright == pytest.approx(1, abs=0.1)  # half of all tokens stay: of the two views together


def test_the_overlay_of_a_video_is_a_strip_of_frames_for_each_stage(qwen, result, tmp_path):
    result("--model", qwen, "--example", "video", "--overlay", tmp_path / "overlay.png")
    overlay = Image.open(tmp_path / "overlay.png").convert("RGB")
    assert overlay.size == (4 * 192 + 3 * 8, 3 * (22 + 22 + 192 + 8) - 8)
    bright = []  # where each frame shows the square, left to right as time goes
    for frame in range(4):
        panel = overlay.crop((frame * 200, 44, frame * 200 + 192, 44 + 192))
        bright.append(panel.point(lambda level: 255 * (level > 128)).getbbox()[0])
    assert bright == sorted(set(bright))


def test_the_overlay_of_a_video_of_single_frames_shows_each(models, result, tmp_path):
    result("--model", models["llava_onevision"], "--example", "video", "--overlay", tmp_path / "overlay.png")
    assert Image.open(tmp_path / "overlay.png").size == (8 * 144 + 7 * 8, 3 * (22 + 22 + 144 + 8) - 8)


def test_the_overlay_of_a_long_video_shows_some_of_it(qwen, result, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames(48))
    result("--model", qwen, "--video", path, "--overlay", tmp_path / "overlay.png")
    assert Image.open(tmp_path / "overlay.png").width == 8 * 192 + 7 * 8


def test_the_overlay_of_several_media_shows_them_all(qwen, result, tmp_path):
    arguments = ["--model", qwen, "--image", PICTURE, "--video", qwen / "example.mp4"]
    result(*arguments, "--overlay", tmp_path / "overlay.png")
    picture, film, title = 22 + 288 + 8, 3 * (22 + 22 + 192 + 8), 22
    assert Image.open(tmp_path / "overlay.png").height == title + picture + title + film - 8


@pytest.mark.parametrize("name", ["llava", *BUILDERS])
def test_a_picture_of_one_pixel_works(models, result, tmp_path, name):
    Image.new("RGB", (1, 1), "white").save(tmp_path / "pixel.png")
    data = result("--model", models[name], "--image", tmp_path / "pixel.png", "--overlay", tmp_path / "overlay.png")
    assert data["images"][0]["vision_tokens"] > 0


@pytest.mark.parametrize("name", ["qwen2_vl", "llava_onevision"])
@pytest.mark.parametrize("kind", BROKEN_VIDEOS)
def test_what_is_wrong_with_a_video_is_told(models, refusal, tmp_path, name, kind):
    path = broken_video(kind, tmp_path)
    told = refusal("--model", models[name], "--video", path)
    assert re.search(BROKEN_VIDEOS[kind], told), told
    assert str(path) in told


@pytest.mark.parametrize("name", ["qwen2_vl", "llava"])
@pytest.mark.parametrize("kind", BROKEN_IMAGES)
def test_what_is_wrong_with_a_picture_is_told(models, refusal, tmp_path, name, kind):
    path = broken_image(kind, tmp_path)
    told = refusal("--model", models[name], "--image", path)
    assert re.search(BROKEN_IMAGES[kind], told), told
    assert str(path) in told


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["--video", "CLIP", "--fps", "0"], "--fps 0: .*above 0"),
        (["--video", "CLIP", "--fps", "-1"], "--fps -1: .*above 0"),
        (["--video", "CLIP", "--fps", "nan"], "--fps nan: .*above 0"),
        (["--video", "CLIP", "--fps", "inf"], "--fps inf: .*above 0"),
        (["--fps", "2"], "--fps 2 without a video: pass --video"),
        (["--image", PICTURE, "--fps", "2"], "--fps 2 without a video"),
        (["--example", "video", "--image", PICTURE], "--example video and --image .* contradict"),
        (["--example", "image", "--video", "CLIP"], "--example image and --video .* contradict"),
        (["--model", "llava", "--example", "video"], "llava has no example video: pass --video"),
        (["--model", "llava", "--video", "CLIP"], "llava models take pictures, not videos"),
        (["--model", "llava", "--video", "CLIP", "--prompt", "what ?"], "llava models take pictures, not videos"),
        (["--prompt", "what is <video> ?"], "the question quotes <video>, which stands for videos"),
    ],
)
def test_contradictions_are_told(qwen, refusal, arguments, quoted):
    named = [str(qwen / "example.mp4") if argument == "CLIP" else argument for argument in arguments]
    told = refusal(*([] if "--model" in arguments else ["--model", qwen]), *named)
    assert re.search(quoted, told), told


def test_a_folder_without_an_example_asks_for_a_prompt(refusal, tmp_path):
    folder = save_tiny("qwen2_vl", tmp_path, example=False)
    clip = write_video(tmp_path / "clip.mp4")
    assert "pass --prompt" in refusal("--model", folder, "--video", clip)
    assert "pass --image and --prompt" in refusal("--model", folder)
    assert "pass --video and --prompt" in refusal("--model", folder, "--example", "video")


def test_a_broken_recommendation_is_told(qwen, refusal, tmp_path):
    (tmp_path / "config.json").write_text((qwen / "config.json").read_text())
    for text in ("{", "[]", '{"schedule": {"stages": []}, "image": "a.png", "prompt": "what ?", "video": "a.mp4"}'):
        (tmp_path / "v2drop.json").write_text(text)
        assert "v2drop.json" in refusal("--model", tmp_path)


def test_frames_for_models_that_resize_themselves_come_as_they_are(tmp_path):
    from v2drop import MediaError
    from v2drop_loading.media import Media
    from v2drop_media.videos import read_video

    path = write_video(tmp_path / "clip.mp4", frames(50), rate=25)
    media = Media([], *read_video(path, 5))
    assert media.frames.shape == (10, 3, 96, 96)
    assert media.times == pytest.approx([number / 5 for number in range(10)])
    assert len(read_video(path, 1000)[0]) == 50
    for kind in BROKEN_VIDEOS:
        with pytest.raises(MediaError, match=BROKEN_VIDEOS[kind]):
            read_video(broken_video(kind, tmp_path), 2)


@pytest.mark.parametrize("name", zoo_models())
def test_the_zoos_examples_are_answered_right(name, run):
    examples = json.loads((CHECKPOINTS / name / "v2drop.json").read_text())
    for kind, example in {"image": examples, "video": examples.get("video")}.items():
        if example is not None:
            code, out, _ = run("--model", name, "--example", kind, "--json", "--max-new-tokens", "8")
            assert code == 0
            data = json.loads(out)
            assert data["dense"]["answer"] == data["dropped"]["answer"] == example["answer"]


def test_the_decoders_are_quiet_in_a_process_of_its_own(qwen, tmp_path):
    path = broken_video("overwritten", tmp_path)
    command = [sys.executable, "-m", "v2drop_cli", "run", "--model", qwen, "--video", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = [
        line for line in done.stderr.splitlines() if "torch/utils/_pytree.py" not in line
    ]  # torchao's import, where it is
    assert said == [f"Error: cannot read the frames of {path}: it is damaged or cut off"]
