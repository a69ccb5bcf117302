"""Qwen2-VL: pictures and videos of any size, and rotary positions over time, height and width (M-RoPE).

The decoder layers get M-RoPE as (cos, sin) of [B, S, D] (transformers 5.0: [3, B, S, D]); `Adapter.gather_rotary` takes
both. They encode each token's original position, text and vision alike, so it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from v2drop import Adapter, VisionLayout
from v2drop.layout.frame_times import frame_times
from v2drop.layout.patch_grid import patch_grid
from v2drop_media.qwen_media import QwenMedia


class Qwen2VLAdapter(QwenMedia, Adapter):
    """Adapter for `Qwen2VLForConditionalGeneration` and `Qwen2VLModel`."""

    model_types = ("qwen2_vl",)
    placeholders = ("image_token_id", "video_token_id")
    media_inputs = ("pixel_values", "pixel_values_videos", "mm_encoder_outputs")
    extra = "v2drop[qwen2-vl]"
    lmms_model = "v2drop_qwen2_vl"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Sizes are those after resizing by the processor; frames come in pairs.

        Times are known if the processor was called with `return_metadata=True`.
        """
        vision = model.config.vision_config
        images, videos = inputs.get("image_grid_thw"), inputs.get("video_grid_thw")
        pictures = [patch_grid(grid, vision) for grid in (() if images is None else images)]
        together = vision.temporal_patch_size
        films = [
            patch_grid(grid, vision, frame_times(inputs, number, int(grid[0]) * together)[::together])
            for number, grid in enumerate(() if videos is None else videos)
        ]
        return VisionLayout.of(
            (self.placeholder_mask(model, inputs, "image_token_id"), pictures),
            (self.placeholder_mask(model, inputs, "video_token_id"), films),
        )
