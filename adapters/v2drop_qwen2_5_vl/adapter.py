"""Qwen2.5-VL: pictures and videos of any size, frames in pairs, and M-RoPE whose time axis runs in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from v2drop import Adapter, VisionLayout
from v2drop.layout.frame_times import frame_times
from v2drop.layout.patch_grid import patch_grid
from v2drop_media.qwen_media import QwenMedia


class Qwen2_5_VLAdapter(QwenMedia, Adapter):
    """Adapter for `Qwen2_5_VLForConditionalGeneration` and `Qwen2_5_VLModel`."""

    model_types = ("qwen2_5_vl",)
    placeholders = ("image_token_id", "video_token_id")
    media_inputs = ("pixel_values", "pixel_values_videos", "mm_encoder_outputs")
    extra = "v2drop[qwen2-5-vl]"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Sizes are those after resizing by the processor.

        Times come from `video_metadata` or, without it, from the `second_per_grid_ts` that the processor returns.
        """
        vision = model.config.vision_config
        images, videos = inputs.get("image_grid_thw"), inputs.get("video_grid_thw")
        pictures = [patch_grid(grid, vision) for grid in (() if images is None else images)]
        films = [
            patch_grid(grid, vision, _step_times(inputs, number, int(grid[0]), vision.temporal_patch_size))
            for number, grid in enumerate(() if videos is None else videos)
        ]
        return VisionLayout.of(
            (self.placeholder_mask(model, inputs, "image_token_id"), pictures),
            (self.placeholder_mask(model, inputs, "video_token_id"), films),
        )


def _step_times(inputs: Mapping[str, Any], video: int, steps: int, together: int) -> list[float]:
    seconds = inputs.get("second_per_grid_ts")
    if inputs.get("video_metadata") is not None or seconds is None:
        return frame_times(inputs, video, steps * together)[::together]
    return [step * float(seconds[video]) for step in range(steps)]
