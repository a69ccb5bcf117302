"""LLaVA-OneVision: one picture is a view of the whole and tiles, as in LLaVA-NeXT; of several, and of a video's frames,
each is one square view; newline tokens stand behind. Rotary positions are those of plain text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from transformers.image_processing_utils import select_best_resolution

from v2drop import Adapter, Medium, View, VisionLayout
from v2drop.anyres import tiled_view
from v2drop.video import frame_times


class LlavaOnevisionAdapter(Adapter):
    """Maps `LlavaOnevisionForConditionalGeneration` and `LlavaOnevisionModel` onto the core."""

    model_types = ("llava_onevision",)
    placeholders = ("image_token_id", "video_token_id")
    media_inputs = ("pixel_values", "pixel_values_videos", "mm_encoder_outputs")
    requires = ("torchvision", "decord")
    extra = "v2drop[llava-onevision]"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Boxes are in pixels of the original pictures, and of the resized frames.

        Times are known where the processor was asked for `return_metadata=True`.
        """
        sizes, videos = inputs.get("image_sizes"), inputs.get("pixel_values_videos")
        pictures, films = [], []
        if sizes is not None:
            together = inputs.get("batch_num_images")
            alone = [True] * len(sizes) if together is None else [n == 1 for n in together for _ in range(n)]
            for (height, width), is_alone in zip(sizes, alone, strict=True):
                pictures.append(_picture(int(height), int(width), model.config, is_alone))
        if videos is not None:
            frames = videos.shape[1]
            films = [_video(frame_times(inputs, video, frames), model.config) for video in range(len(videos))]
        return VisionLayout.of(
            (self.placeholder_mask(model, inputs, "image_token_id"), pictures),
            (self.placeholder_mask(model, inputs, "video_token_id"), films),
        )


def _picture(height: int, width: int, config: Any, is_alone: bool) -> Medium:
    tile, patch = config.vision_config.image_size, config.vision_config.patch_size
    side = tile // patch
    if not is_alone:  # padded to a square on both sides
        across, down = (max(height, width) - width) // 2, (max(height, width) - height) // 2
        square = (-across, -down, max(height, width) - across, max(height, width) - down)
        return Medium(height, width, [View(side, side, square, newlines="last row")])
    canvas = select_best_resolution((height, width), config.image_grid_pinpoints)
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    whole = View(side, side, (0, 0, width, height))
    return Medium(height, width, [whole, tiled_view(height, width, canvas, tile, patch, most)])


def _video(times: list[float], config: Any) -> Medium:
    """A video whose frames were shown at `times`; its tokens are pooled to half of a picture's along each side."""
    size = config.vision_config.image_size
    side = math.ceil(size // config.vision_config.patch_size / 2)
    last = len(times) - 1
    views = [
        View(side, side, (0, 0, size, size), newlines="last row" if n == last else "none", frames=(n, n), time=time)
        for n, time in enumerate(times)
    ]
    return Medium(size, size, views, is_video=True)
