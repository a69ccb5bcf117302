"""Videos are shown to models as players show them: the right frame at the right time, upright, in square pixels."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
import torch
from support.media_files import BROKEN_VIDEOS, broken_video
from support.tiny_checkpoints import BUILDERS, WATCHING
from support.video_files import STEADY, VARIABLE, Film, cut_off, without_first, write_sound
from transformers import Qwen2VLVideoProcessor
from transformers.video_utils import VideoMetadata

import v2drop
from v2drop import MediaError
from v2drop_loading.media import as_inputs, read_media
from v2drop_loading.question import Question
from v2drop_media.videos import Video, read_video
from v2drop_qwen2_vl import load_video

TWENTY_FIVE = [Fraction(number, 25) for number in range(50)]
B_FRAMES = {"bf": "2", "g": "12"}
OPEN = {"bf": "2", "g": "12", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
FIELDS = {"flags": "+ildct+ilme"}
SHARP = {"b": "4000000"}
QWEN = Qwen2VLVideoProcessor(
    size={"shortest_edge": 64 * 64, "longest_edge": 256 * 256}, patch_size=4, merge_size=2, temporal_patch_size=2
)


@dataclass(frozen=True)
class Case:
    """A film, and how it is shown: width and height, and where its white corner is, as (x, y) of 0 or 1."""

    film: Film
    size: tuple[int, int] = (96, 64)
    corner: tuple[int, int] = (0, 0)


TENTH = Fraction(1, 10)
CASES = {
    "constant rate, mp4": Case(Film("a.mp4")),
    "constant rate, clock of whole frames": Case(Film("a.avi", codec="mpeg4", clock=TENTH, options=SHARP)),
    "constant rate, rounded clock": Case(Film("a.mkv", [Fraction(number, 30) for number in range(40)])),
    "variable rate, mp4": Case(Film("a.mp4", VARIABLE)),
    "variable rate, B-frames": Case(Film("a.mp4", VARIABLE, options=B_FRAMES)),
    "variable rate, mov": Case(Film("a.mov", VARIABLE, codec="mpeg4", options=SHARP)),
    "variable rate, mkv": Case(Film("a.mkv", VARIABLE)),
    "variable rate, VP9 in webm": Case(Film("a.webm", VARIABLE, codec="libvpx-vp9")),
    "variable rate, VP8 in webm": Case(Film("a.webm", VARIABLE, codec="libvpx", options=SHARP)),
    "variable rate, avi": Case(Film("a.avi", VARIABLE, codec="mpeg4", clock=TENTH, options=SHARP)),
    "variable rate, transport stream": Case(Film("a.ts", VARIABLE)),
    "variable rate, flv": Case(Film("a.flv", VARIABLE)),
    "frames that are never shown": Case(
        Film("a.webm", codec="libvpx", options={**SHARP, "auto-alt-ref": "1", "lag-in-frames": "16"})
    ),
    "a long gap": Case(Film("a.mp4", [*STEADY[:10], Fraction(600), *(600 + time for time in STEADY[1:10])])),
    "one frame a minute": Case(Film("a.mp4", [Fraction(60 * number) for number in range(6)])),
    "1000 frames a second": Case(Film("a.mp4", [Fraction(number, 1000) for number in range(30)])),
    "jittering times": Case(Film("a.mp4", [time + Fraction(number % 3, 200) for number, time in enumerate(STEADY)])),
    "one frame": Case(Film("a.mp4", [Fraction(0)])),
    "turned by 90 degrees": Case(Film("a.mp4", degrees=90), (64, 96), (0, 1)),
    "turned by 180 degrees": Case(Film("a.mp4", degrees=180), (96, 64), (1, 1)),
    "turned by 270 degrees": Case(Film("a.mp4", degrees=-90), (64, 96), (1, 0)),
    "turned, mkv": Case(Film("a.mkv", degrees=90), (64, 96), (0, 1)),
    "mirrored": Case(Film("a.mp4", degrees=0, mirrored=True), (96, 64), (1, 0)),
    "turned and mirrored": Case(Film("a.mov", degrees=90, mirrored=True), (64, 96), (1, 1)),
    "odd size, mp4": Case(Film("a.mp4", codec="mpeg4", clock=TENTH, size=(97, 65), options=SHARP), (97, 65)),
    "odd size, webm": Case(Film("a.webm", codec="libvpx-vp9", size=(97, 65)), (97, 65)),
    "odd size, full colour": Case(Film("a.mkv", size=(97, 65), pixels="yuv444p"), (97, 65)),
    "wide pixels": Case(Film("a.mp4", pixel_shape=Fraction(2)), (192, 64)),
    "tall pixels": Case(Film("a.mkv", pixel_shape=Fraction(1, 2)), (96, 128)),
    "wide pixels, avi": Case(
        Film("a.avi", codec="mpeg4", clock=TENTH, pixel_shape=Fraction(4, 3), options=SHARP), (128, 64)
    ),
    "wide pixels, turned": Case(Film("a.mp4", pixel_shape=Fraction(2), degrees=90), (64, 192), (0, 1)),
    "interlaced, H.264": Case(Film("a.mp4", options=FIELDS, comb=40)),
    "interlaced, MPEG-2": Case(
        Film("a.mpg", TWENTY_FIVE, codec="mpeg2video", clock=Fraction(1, 25), options=FIELDS | SHARP, comb=40)
    ),
    "starts after 5 s, mp4": Case(Film("a.mp4", VARIABLE, start=Fraction(5))),
    "starts after 5 s, mkv": Case(Film("a.mkv", VARIABLE, start=Fraction(5))),
    "starts after 5 s, transport stream": Case(Film("a.ts", VARIABLE, start=Fraction(5))),
    "B-frames without times, H.264 in avi": Case(Film("a.avi", clock=TENTH, options=B_FRAMES)),
    "B-frames without times, MPEG-4 in avi": Case(Film("a.avi", codec="mpeg4", clock=TENTH, options=B_FRAMES | SHARP)),
    "B-frames, MPEG program stream": Case(
        Film("a.mpg", TWENTY_FIVE, codec="mpeg2video", clock=Fraction(1, 25), options=B_FRAMES | SHARP)
    ),
    "10 bits a colour": Case(Film("a.mp4", pixels="yuv420p10le")),
}


def shown_at(times, instants):
    """The frames that are on the screen at instants."""
    return [bisect_right(times, instant) - 1 for instant in instants]


def levels(film, frames):
    """Which frame of a film each picture [3, height, width] shows, by its grey; lines of another moment do not show."""
    told = []
    for frame in frames:
        height, width = frame.shape[1:]
        # around the middle there is no white corner, however the film is turned
        grey = frame[:, height * 4 // 10 : height * 6 // 10, width * 4 // 10 : width * 6 // 10].float()
        assert grey.amax() - grey.amin() < 12
        told.append(round((float(grey.mean()) - 20) / film.step))
    return told


@pytest.mark.parametrize("name", CASES)
def test_the_frames_shown_at_each_instant_are_read_with_their_times(tmp_path, name):
    film, path = CASES[name].film, CASES[name].film.write(tmp_path)
    usual = min((later - earlier for earlier, later in pairwise(film.times)), default=1)
    last = film.times[-1]
    instants = [Fraction(number, 2) for number in range(int(last * 2) + 1)] if usual < 0.5 else film.times
    expected = shown_at(film.times, instants)
    frames, metadata = read_video(path, fps=2)
    assert levels(film, frames) == expected
    assert metadata.frame_times == pytest.approx([float(film.times[number]) for number in expected], abs=0.002)
    assert metadata.timestamps == metadata["frame_times"] == metadata.frame_times


@pytest.mark.parametrize("name", CASES)
def test_a_frame_is_shown_upright_in_square_pixels(tmp_path, name):
    case = CASES[name]
    video = Video(case.film.write(tmp_path))
    assert (video.width, video.height) == case.size
    picture = next(video.frames([0])).float().mean(0)
    assert picture.shape == (video.height, video.width)
    height, width = picture.shape[0] // 5, picture.shape[1] // 5
    corners = {(x, y): picture.flip([1] * x + [0] * y)[:height, :width].mean() for x in (0, 1) for y in (0, 1)}
    assert max(corners, key=corners.get) == case.corner
    assert corners.pop(case.corner) > 240
    assert max(corners.values()) < 40


@pytest.mark.parametrize("name", [name for name in CASES if name != "one frame"])
def test_qwens_frames_are_those_at_instants_at_equal_distances(tmp_path, name):
    film, path = CASES[name].film, CASES[name].film.write(tmp_path)
    frames, metadata = load_video(path, QWEN, fps=2)
    assert len(frames) % 2 == 0
    step = film.times[-1] / (len(frames) - 1)
    expected = shown_at(film.times, [step * number for number in range(len(frames))])
    assert levels(film, frames) == expected
    assert metadata.frame_times[-1] == pytest.approx(float(film.times[-1]), abs=0.002)
    assert metadata.sampled_fps == pytest.approx(float(1 / step), rel=0.02)


def test_as_many_frames_are_read_as_their_times_ask_for(tmp_path):
    path = Film("a.mp4", VARIABLE).write(tmp_path)
    assert [len(load_video(path, QWEN, fps)[0]) for fps in (0.1, 1, 2, 10, 1000)] == [4, 8, 16, 80, 80]
    assert len(load_video(path, Qwen2VLVideoProcessor(max_frames=6), 2)[0]) == 6
    frames, metadata = read_video(path, 1000)
    assert len(frames) == 81
    assert sorted(set(metadata.frame_times)) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 4, 8]


def test_every_frame_is_read_once_where_their_times_jitter(tmp_path):
    film = CASES["jittering times"].film
    assert levels(film, read_video(film.write(tmp_path), 1000)[0]) == list(range(30))


@pytest.mark.parametrize("model_type", WATCHING)
@pytest.mark.parametrize("name", ["variable rate, mp4", "starts after 5 s, mkv", "a long gap"])
def test_models_and_layouts_are_told_the_files_times(tmp_path, model_type, name):
    film = CASES[name].film
    model, processor = BUILDERS[model_type]()
    question = Question([], film.write(tmp_path), 2.0 if film.times is VARIABLE else 0.05, "what is it ?")
    adapter = v2drop.get_adapter(model)
    media = read_media(question, adapter, processor)
    inputs = as_inputs(processor, media, question.prompt)
    layout = adapter.layout(model, inputs)
    together = layout.frames[0, 1].item() - layout.frames[0, 0].item() + 1
    last = layout.frames[-1, 1].item() + 1
    assert last == len(media.times)
    assert layout.time.unique().tolist() == pytest.approx(sorted(set(media.times[::together])))
    known = [float(time) for time in film.times]
    assert all(min(abs(time - each) for each in known) < 0.002 for time in media.times)
    assert inputs["video_metadata"][0].timestamps == media.times
    if model_type == "qwen2_5_vl":
        assert float(inputs["second_per_grid_ts"][0]) == pytest.approx(2 * known[-1] / (last - 1), rel=1e-3)
        # what the model is told by that is when the film shows these frames
        seconds = [Fraction(float(inputs["second_per_grid_ts"][0])) * number for number in range(last // 2)]
        stay = shown_at(film.times, [second + Fraction(1, 100) for second in seconds])
        assert media.times[::2] == pytest.approx([known[number] for number in stay], abs=0.002)


def test_processors_that_compute_times_from_numbers_are_right_too(tmp_path):
    _, metadata = read_video(Film("a.mp4", VARIABLE).write(tmp_path), 2)
    stock = VideoMetadata(**metadata)
    assert stock.timestamps == pytest.approx(metadata.frame_times, abs=0.05)
    assert stock.sampled_fps == pytest.approx(metadata.sampled_fps, rel=0.1)
    assert stock.duration == pytest.approx(8.1)
    assert (stock.width, stock.height) == (96, 64)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mpg"])
def test_what_comes_before_the_first_key_frame_is_not_shown(tmp_path, name):
    film = Film(name, TWENTY_FIVE, clock=Fraction(1, 25), options=OPEN)
    if name == "a.mpg":
        film = replace(film, codec="mpeg2video", options=B_FRAMES | SHARP)
    path = without_first(film.write(tmp_path), tmp_path / f"late-{name}")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert packets[0].is_keyframe
        early = [packet for packet in packets if packet.pts < packets[0].pts]
        assert early
    first = len(TWENTY_FIVE) - len(packets) + len(early)
    frames, metadata = read_video(path, 1000)
    assert levels(film, frames) == list(range(first, 50))
    assert metadata.frame_times == pytest.approx([number / 25 for number in range(50 - first)], abs=0.002)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm", "a.avi"])
def test_seeking_finds_what_decoding_all_finds(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (200, 48, 64, 3), dtype=np.uint8)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        codec = {"a.webm": "libvpx-vp9", "a.avi": "mpeg4"}.get(name, "libx264")
        stream = container.add_stream(codec, rate=25, options={"g": "12"} | (B_FRAMES if codec != "mpeg4" else {}))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    numbers = [0, 1, 13, 14, 60, 60, 61, 119, 120, 121, 199]
    for number, picture in zip(numbers, Video(path).frames(numbers), strict=True):
        assert np.array_equal(picture.permute(1, 2, 0).numpy(), every[number]), number


def test_colours_are_those_that_the_file_means(tmp_path):
    told = {"colorspace": "bt709", "x264-params": "colormatrix=bt709:colorprim=bt709:transfer=bt709", "crf": "1"}
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2, options=told)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv444p"
        pink = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 40, 90), np.uint8))
        container.mux(stream.encode(pink.reformat(format="yuv444p", dst_colorspace="ITU709")))
        container.mux(stream.encode())
    assert (next(Video(path).frames([0])).float().mean((1, 2)) - torch.tensor([200.0, 40.0, 90.0])).abs().max() < 3


def test_a_name_with_a_colon_is_a_files_name(tmp_path):
    assert len(read_video(Film("10:30 walk.mp4").write(tmp_path), 2)[0]) == 6


REFUSED = {
    "a picture": (lambda folder: broken_video("picture", folder), r"it is a picture \(PNG\)"),
    "sound": (lambda folder: write_sound(folder / "a.m4a"), "holds no frames, only sound"),
    "sound with a cover": (lambda folder: write_sound(folder / "a.mp3", cover=True), "holds no frames, only sound"),
    "text that FFmpeg would draw": (lambda folder: _text(folder / "a.txt"), "no video"),
    "no bytes": (lambda folder: broken_video("empty", folder), "it is empty"),
    "no frames": (lambda folder: broken_video("no frames", folder), "holds no frames"),
    "cut off, mp4": (
        lambda folder: cut_off(Film("a.mp4", muxer={"movflags": "faststart"}).write(folder), 0.8),
        "damaged or cut off",
    ),
    "cut off, mp4 without its index": (lambda folder: cut_off(Film("a.mp4").write(folder)), "damaged or cut off"),
    "cut off, mkv": (lambda folder: cut_off(Film("a.mkv", codec="ffv1").write(folder)), "damaged or cut off"),
    "cut off, webm": (lambda folder: cut_off(Film("a.webm", codec="libvpx-vp9").write(folder)), "damaged or cut off"),
    "cut off, avi": (
        lambda folder: cut_off(Film("a.avi", codec="ffv1", clock=TENTH).write(folder)),
        "damaged or cut off",
    ),
    "no times": (lambda folder: Film("a.h264").write(folder), "its frames have no times"),
    "at an angle": (lambda folder: Film("a.mp4", degrees=30).write(folder), "rotation of .* degrees"),
    "too long": (
        lambda folder: Film("a.mp4", size=(2400, 16), pixel_shape=Fraction(2)).write(folder),
        "4800 x 16 pixels.*200 times",
    ),
    "a codec that nobody knows": (lambda folder: broken_video("unknown codec", folder), "codec"),
}


def _text(path):
    path.write_text("words\n" * 50)
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_to_read_is_refused_by_name(tmp_path, name):
    build, told = REFUSED[name]
    path = build(tmp_path)
    for read in (lambda: read_video(path, 2), lambda: load_video(path, QWEN, 2)):
        with pytest.raises(MediaError, match=told) as refusal:
            read()
        assert str(path) in str(refusal.value)


@pytest.mark.parametrize("kind", BROKEN_VIDEOS)
def test_broken_files_are_refused_for_every_architecture(tmp_path, kind):
    with pytest.raises(MediaError, match=BROKEN_VIDEOS[kind]):
        read_video(broken_video(kind, tmp_path), 2)


def test_one_frame_is_no_video_for_models_that_look_at_two(tmp_path):
    path = Film("a.mp4", [Fraction(0)]).write(tmp_path)
    with pytest.raises(MediaError, match=r"1 frame.*as a picture"):
        load_video(path, QWEN)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_fps_is_a_number_above_zero(tmp_path, fps):
    with pytest.raises(MediaError, match="fps="):
        read_video(Film("a.mp4").write(tmp_path), fps)
