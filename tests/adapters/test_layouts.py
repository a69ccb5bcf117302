"""Layouts say where the pixels of a token really are, after each architecture's own processor cut a picture up."""

from __future__ import annotations

import pytest
import torch
from support.gradient import gradient, is_padding, place
from support.tiny_llava_next import tiny_config as tiny_llava_next
from support.tiny_llava_onevision import tiny_config as tiny_llava_onevision
from support.tiny_qwen2_5_vl import tiny_config as tiny_qwen2_5_vl
from support.tiny_qwen2_vl import IMAGE, VIDEO
from support.tiny_qwen2_vl import tiny_config as tiny_qwen2_vl
from transformers import (
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLForConditionalGeneration,
)
from transformers.image_processing_utils import select_best_resolution
from transformers.models.qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

import v2drop

PLAIN = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}


TILED = {  # architecture: its tiny configuration, model and image processor
    "llava_next": (tiny_llava_next, LlavaNextForConditionalGeneration, LlavaNextImageProcessor),
    "llava_onevision": (tiny_llava_onevision, LlavaOnevisionForConditionalGeneration, LlavaOnevisionImageProcessor),
}


def _tiled(architecture, *pictures, border=0):
    """The layout of pictures in one sample, what the processor made of them, and the model's configuration.

    With a border, tiles are so many pixels larger than a whole number of patches.
    """
    make_config, make_model, make_processor = TILED[architecture]
    config = make_config()
    tile = config.vision_config.image_size
    config.image_grid_pinpoints = [[side // tile * (tile + border) for side in c] for c in config.image_grid_pinpoints]
    config.vision_config.image_size = tile + border
    model = make_model(config)
    side = tile + border
    size = {"shortest_edge": side} if architecture == "llava_next" else {"height": side, "width": side}
    crop = {"crop_size": {"height": side, "width": side}} if architecture == "llava_next" else {}
    processor = make_processor(size=size, image_grid_pinpoints=model.config.image_grid_pinpoints, **crop, **PLAIN)
    pixels = processor([[gradient(*size) for size in pictures]], return_tensors="pt")
    with torch.no_grad():
        features = model.model.get_image_features(**pixels).pooler_output
    ids = torch.cat([torch.tensor([3, *[model.config.image_token_id] * len(each), 3]) for each in features])
    layout = v2drop.get_adapter(model).layout(model, {"input_ids": ids[None], **pixels})
    assert layout.size.tolist() == [list(size) for size in pictures]
    return layout, pixels["pixel_values"], model.config


def _check(layout, token, pixels):
    """The box of a token is where its pixels come from, unless it holds padding too and its box was clipped."""
    if is_padding(pixels):
        return
    left, top, right, bottom = layout.box[token].tolist()
    height, width = layout.size[layout.picture[token]].tolist()
    x, y = place(pixels)
    assert x == pytest.approx((left + right) / 2 / width, abs=0.03)
    assert y == pytest.approx((top + bottom) / 2 / height, abs=0.03)


@pytest.mark.parametrize("architecture", TILED)
@pytest.mark.parametrize("size", [(2000, 20), (20, 4000), (300, 3), (2, 2)])
def test_pictures_that_unpadding_leaves_hardly_anything_of(architecture, size):
    layout, *_ = _tiled(architecture, size)
    assert (layout.tile == -1).sum() == _side(architecture) ** 2
    assert layout.box[:, 2].max() <= size[1]
    assert layout.box[:, 3].max() <= size[0]


def _side(architecture):
    vision = TILED[architecture][0]().vision_config
    return vision.image_size // vision.patch_size


@pytest.mark.parametrize("architecture", TILED)
@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize("size", [(20, 40), (40, 20), (200, 400), (37, 40), (12, 50), (61, 22), (30, 30), (90, 33)])
def test_boxes_of_tiled_pictures_hold_the_tokens_pixels(architecture, size, border):
    layout, pixels, config = _tiled(architecture, size, border=border)
    tile_side, patch = config.vision_config.image_size, config.vision_config.patch_size
    side = tile_side // patch
    rows, columns = (c // tile_side * side for c in select_best_resolution(size, config.image_grid_pinpoints))
    base, tiled = layout.tile == -1, (layout.tile >= 0) & ~layout.newline
    assert base.sum() == side**2
    assert layout.newline.sum() == layout.grid[0, 0]
    assert (layout.box[layout.newline, 0] == layout.box[layout.newline, 2]).all()
    assert set(layout.tile[tiled].tolist()) == set(range(pixels.shape[1] - 1))
    shrunk = (layout.grid[0] < torch.tensor([rows, columns])).all()  # while unpadding takes from one side alone
    for token in (base | tiled).nonzero().flatten().tolist():
        row, column, tile = layout.row[token].item(), layout.column[token].item(), layout.tile[token].item()
        if tile >= 0:
            if shrunk:
                continue  # a token is no whole number of patches there
            row += (rows - layout.grid[0, 0].item()) // 2  # padding was cut off on both sides
            column += (columns - layout.grid[0, 1].item()) // 2
            assert row // side * (columns // side) + column // side == tile
        top, left = row % side * patch, column % side * patch
        view = pixels[0, tile + 1]  # the processor puts the whole picture first
        _check(layout, token, view[:, top : top + patch, left : left + patch])


def test_large_grids_of_llava_onevision_shrink_and_still_cover_the_picture():
    layout, *_ = _tiled("llava_onevision", (80, 80))
    assert layout.grid.tolist() == [[7, 7]]  # of 10 x 10, for at most two tiles of 5 x 5
    box = layout.box[(layout.tile >= 0) & ~layout.newline]
    assert box[:, :2].amin(0).tolist() == [0, 0]
    assert box[:, 2:].amax(0).tolist() == [80, 80]
    assert layout.tile.unique().tolist() == [-1, 0, 1, 2, 3]


@pytest.mark.parametrize("border", [0, 3])
def test_several_pictures_of_llava_onevision_are_one_padded_square_each(border):
    layout, pixels, config = _tiled("llava_onevision", (40, 20), (24, 30), border=border)
    assert layout.grid.tolist() == [[5, 5], [5, 5]]
    assert layout.newline.nonzero().flatten().tolist() == [25, 51]
    assert (layout.tile == -1).all()
    for token in (~layout.newline).nonzero().flatten().tolist():
        row, column, patch = layout.row[token].item(), layout.column[token].item(), config.vision_config.patch_size
        window = pixels[layout.picture[token], 0][
            :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch
        ]
        _check(layout, token, window)


def test_frames_of_llava_onevision_are_pooled_and_end_in_one_newline():
    model = LlavaOnevisionForConditionalGeneration(tiny_llava_onevision())
    ids = torch.tensor([[3, *[model.config.video_token_id] * (2 * 9 + 1), 4]])
    metadata = [{"fps": 10.0, "total_num_frames": 20, "frames_indices": [0, 15]}]
    inputs = {"input_ids": ids, "pixel_values_videos": torch.zeros(1, 2, 3, 20, 20), "video_metadata": metadata}
    layout = v2drop.get_adapter(model).layout(model, inputs)
    assert layout.is_video.tolist() == [True]
    assert layout.frames.tolist() == [[0, 0]] * 9 + [[1, 1]] * 10
    assert layout.time.tolist() == [0.0] * 9 + [1.5] * 10
    assert layout.newline.nonzero().flatten().tolist() == [18]


def _qwen(ids, **inputs):
    model = Qwen2VLForConditionalGeneration(tiny_qwen2_vl())
    return v2drop.get_adapter(model).layout(model, {"input_ids": torch.tensor([ids]), **inputs})


def test_qwen2_vl_boxes_hold_the_tokens_pixels():
    processor = Qwen2VLImageProcessor(patch_size=4, size={"shortest_edge": 64, "longest_edge": 10**6}, **PLAIN)
    pixels = processor([gradient(40, 72), gradient(21, 30)], return_tensors="pt")
    counts = (pixels["image_grid_thw"].prod(1) // 4).tolist()
    layout = _qwen([5] + [IMAGE] * counts[0] + [6] + [IMAGE] * counts[1] + [7], **pixels)
    assert layout.size.tolist() == [[40, 72], [24, 32]]
    assert layout.grid.tolist() == [[5, 9], [3, 4]]
    assert not layout.is_video.any()
    patches = (
        pixels["pixel_values"].reshape(len(layout.sample), 4, 3, 2, 4, 4).transpose(2, 3)
    )  # token, merged, time, 3
    for token in range(len(patches)):
        _check(layout, token, patches[token])


def test_qwen2_vl_videos_have_frame_pairs_and_times():
    processor = Qwen2VLVideoProcessor(patch_size=4, size={"shortest_edge": 64, "longest_edge": 10**6}, **PLAIN)
    frames = torch.zeros(6, 3, 16, 24, dtype=torch.uint8)
    frames += torch.arange(6, dtype=torch.uint8)[:, None, None, None] * 40  # a frame's brightness is its number
    metadata = [{"fps": 30.0, "total_num_frames": 90, "frames_indices": [0, 15, 30, 45, 60, 75]}]
    videos = processor([frames], video_metadata=metadata, do_sample_frames=False, return_tensors="pt")
    assert videos["video_grid_thw"].tolist() == [[3, 4, 6]]
    image = {"image_grid_thw": torch.tensor([[1, 4, 4]])}
    layout = _qwen([VIDEO] * 18 + [5] + [IMAGE] * 4, **videos, **image, video_metadata=metadata)
    assert layout.is_video.tolist() == [True, False]
    assert layout.size.tolist() == [[16, 24], [16, 16]]
    of_video = layout.picture == 0
    assert layout.frames[of_video].tolist() == [[0, 1]] * 6 + [[2, 3]] * 6 + [[4, 5]] * 6
    assert layout.time[of_video].tolist() == [0.0] * 6 + [1.0] * 6 + [2.0] * 6
    assert layout.frames[~of_video].tolist() == [[0, 0]] * 4
    assert layout.time[~of_video].isnan().all()
    patches = videos["pixel_values_videos"].reshape(18, 4, 3, 2, 4, 4)  # token, merged, channel, time
    for token, (first, last) in enumerate(layout.frames[of_video].tolist()):
        assert (patches[token, :, :, 0] * 255 / 40).round().unique().tolist() == [first]
        assert (patches[token, :, :, 1] * 255 / 40).round().unique().tolist() == [last]


def test_times_are_nan_where_the_inputs_tell_no_rate():
    layout = _qwen([VIDEO] * 8, video_grid_thw=torch.tensor([[2, 4, 4]]))
    assert layout.frames.tolist() == [[0, 1]] * 4 + [[2, 3]] * 4
    assert layout.time.isnan().all()


@pytest.mark.parametrize(
    "metadata", [[], [{"fps": None, "frames_indices": [0, 1]}], [{"fps": 2.0}], [{"fps": 2.0, "frames_indices": None}]]
)
def test_metadata_that_tells_no_times_gives_none(metadata):
    layout = _qwen([VIDEO] * 4, video_grid_thw=torch.tensor([[1, 4, 4]]), video_metadata=metadata)
    assert layout.time.isnan().all()


def test_counts_of_pictures_that_contradict_each_other_are_an_error():
    model = LlavaOnevisionForConditionalGeneration(tiny_llava_onevision())
    inputs = {"input_ids": torch.tensor([[3, 4]]), "image_sizes": [(20, 20)], "batch_num_images": [1, 2]}
    with pytest.raises(v2drop.VisionMaskError, match="counts 3 pictures but image_sizes holds 1"):
        v2drop.get_adapter(model).layout(model, inputs)
    with pytest.raises(v2drop.VisionMaskError, match="neither input_ids nor inputs_embeds"):
        v2drop.get_adapter(model).layout(model, {})


def test_qwen2_5_vl_tells_times_without_metadata_too():
    model = Qwen2_5_VLForConditionalGeneration(tiny_qwen2_5_vl())
    inputs = {"video_grid_thw": torch.tensor([[2, 4, 4], [1, 4, 4]]), "second_per_grid_ts": [0.5, 2.0]}
    layout = v2drop.get_adapter(model).layout(model, {"input_ids": torch.tensor([[VIDEO] * 12]), **inputs})
    assert layout.time.tolist() == [0.0] * 4 + [0.5] * 4 + [0.0] * 4
    metadata = [{"fps": 2.0, "frames_indices": [0, 1, 6, 7]}, {"fps": 1.0, "frames_indices": [3, 4]}]
    layout = v2drop.get_adapter(model).layout(
        model, {"input_ids": torch.tensor([[VIDEO] * 12]), **inputs, "video_metadata": metadata}
    )
    assert layout.time.tolist() == [0.0] * 4 + [3.0] * 4 + [3.0] * 4


def test_a_layout_of_no_picture_is_empty():
    layout = _qwen([5, 6, 7])
    assert layout.box.shape == (0, 4)
    assert layout.size.shape == (0, 2)
