"""Layouts say where the pixels of a token really are, after each architecture's own processor cut a picture up."""

from __future__ import annotations

import pytest
import torch
from gradient import gradient, is_padding, place
from tiny_llava_next import IMAGE as NEXT_IMAGE
from tiny_llava_next import PATCH, PINPOINTS, TILE
from tiny_llava_next import tiny_config as tiny_llava_next
from tiny_qwen2_vl import IMAGE, VIDEO
from tiny_qwen2_vl import tiny_config as tiny_qwen2_vl
from transformers import LlavaNextForConditionalGeneration, LlavaNextImageProcessor, Qwen2VLForConditionalGeneration
from transformers.image_processing_utils import select_best_resolution
from transformers.models.qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

import v2drop

PLAIN = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}


@pytest.mark.parametrize("size", [(20, 40), (40, 20), (200, 400), (37, 40), (12, 50), (61, 22), (30, 30), (90, 33)])
def test_llava_next_boxes_hold_the_tokens_pixels(size):
    processor = LlavaNextImageProcessor(
        size={"shortest_edge": TILE}, crop_size={"height": TILE, "width": TILE}, image_grid_pinpoints=PINPOINTS, **PLAIN
    )
    pixels = processor(gradient(*size), return_tensors="pt")
    model = LlavaNextForConditionalGeneration(tiny_llava_next())
    with torch.no_grad():
        tokens = len(model.model.get_image_features(pixels["pixel_values"], pixels["image_sizes"]).pooler_output[0])
    ids = torch.full((1, tokens + 2), NEXT_IMAGE)
    ids[:, [0, -1]] = 3
    layout = v2drop.get_adapter(model).layout(model, {"input_ids": ids, **pixels})
    assert layout.size.tolist() == [list(size)]
    base, tiled = layout.tile == -1, (layout.tile >= 0) & ~layout.newline
    assert base.sum() == (TILE // PATCH) ** 2
    assert layout.newline.sum() == layout.grid[0, 0]
    assert set(layout.tile[tiled].tolist()) == set(range(pixels["pixel_values"].shape[1] - 1))
    for token in range(tokens):
        left, top, right, bottom = layout.box[token].tolist()
        if layout.newline[token]:
            assert left == right
            continue
        tile = int(layout.tile[token]) + 1  # the processor puts the whole picture first
        view = pixels["pixel_values"][0, tile]
        row, column = _in_tile(layout, token, size) if tile else (layout.row[token], layout.column[token])
        patch = view[:, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
        if is_padding(patch):
            continue  # at the picture's edge; its box is clipped to the picture
        x, y = place(patch)
        assert x == pytest.approx((left + right) / 2 / size[1], abs=0.03)
        assert y == pytest.approx((top + bottom) / 2 / size[0], abs=0.03)


def _in_tile(layout, token, size):
    """Row and column within its tile: the grid is centred on the canvas, whose padding was cut off on both sides."""
    rows, columns = (side // PATCH for side in select_best_resolution(size, PINPOINTS))
    row = layout.row[token].item() + (rows - layout.grid[0, 0].item()) // 2
    column = layout.column[token].item() + (columns - layout.grid[0, 1].item()) // 2
    side = TILE // PATCH
    assert row // side * (columns // side) + column // side == layout.tile[token]
    return row % side, column % side


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
    for token, box in enumerate(layout.box.tolist()):
        height, width = layout.size[layout.picture[token]].tolist()
        x, y = place(patches[token])
        assert x == pytest.approx((box[0] + box[2]) / 2 / width, abs=0.03)
        assert y == pytest.approx((box[1] + box[3]) / 2 / height, abs=0.03)


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


def test_a_layout_of_no_picture_is_empty():
    layout = _qwen([5, 6, 7])
    assert layout.box.shape == (0, 4)
    assert layout.size.shape == (0, 2)
