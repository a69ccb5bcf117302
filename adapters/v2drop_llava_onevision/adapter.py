"""LLaVA-OneVision: a single picture is a view of the whole and tiles, as in LLaVA-NeXT; each of several pictures, and
each frame of a video, is one square view. Newline tokens come last. Rotary positions are those of plain text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transformers.image_processing_utils import select_best_resolution

from v2drop import Adapter, MediaItem, View, VisionLayout, VisionMaskError
from v2drop.layout.anyres import tiled_view, whole_view
from v2drop.layout.frame_times import frame_times


class LlavaOnevisionAdapter(Adapter):
    """Adapter for `LlavaOnevisionForConditionalGeneration` and `LlavaOnevisionModel`."""

    model_types = ("llava_onevision",)
    placeholders = ("image_token_id", "video_token_id")
    media_inputs = ("pixel_values", "pixel_values_videos", "mm_encoder_outputs")
    requires = ("torchvision", "av")
    extra = "v2drop[llava-onevision]"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Boxes are in pixels of the original pictures, or of the resized frames.

        Times are known if the processor was called with `return_metadata=True`.
        """
        sizes, videos = inputs.get("image_sizes"), inputs.get("pixel_values_videos")
        pictures, films = [], []
        if sizes is not None:
            alone = _are_alone(len(sizes), inputs.get("batch_num_images"))
            for (height, width), is_alone in zip(sizes, alone, strict=True):
                pictures.append(_picture(int(height), int(width), model.config, is_alone))
        if videos is not None:
            films = [_video(frame_times(inputs, n, len(frames)), model.config) for n, frames in enumerate(videos)]
        return VisionLayout.of(
            (self.placeholder_mask(model, inputs, "image_token_id"), pictures),
            (self.placeholder_mask(model, inputs, "video_token_id"), films),
        )


def _are_alone(pictures: int, counts: Sequence[int] | None) -> list[bool]:
    """Whether each picture is the only one of its sample; `counts` is how many each sample with pictures has."""
    if counts is None:
        return [True] * pictures
    alone = [int(count) == 1 for count in counts for _ in range(int(count))]
    if len(alone) != pictures:
        raise VisionMaskError(
            f"batch_num_images {[int(count) for count in counts]} counts {len(alone)} pictures but image_sizes holds {pictures}: "
            "pass the inputs as the processor made them; see v2drop docs limits"
        )
    return alone


def _picture(height: int, width: int, config: Any, is_alone: bool) -> MediaItem:
    tile, patch = config.vision_config.image_size, config.vision_config.patch_size
    if not is_alone:
        return MediaItem(height, width, [_square_view(height, width, tile, patch)])
    canvas = select_best_resolution((height, width), config.image_grid_pinpoints)
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    views = [whole_view(height, width, tile, patch), tiled_view(height, width, canvas, tile, patch, most)]
    return MediaItem(height, width, views)


def _square_view(height: int, width: int, tile: int, patch: int) -> View:
    """The view of a picture that was padded to a square on both sides, and then scaled to a tile."""
    longest, seen = max(height, width), tile // patch * patch / tile
    left, top = -((longest - width) // 2), -((longest - height) // 2)
    box = (left, top, left + longest * seen, top + longest * seen)
    return View(tile // patch, tile // patch, box, newlines="last row")


def _video(times: list[float], config: Any) -> MediaItem:
    """A video whose frames were shown at `times`; its tokens are pooled to half of a picture's along each side."""
    size, patch = config.vision_config.image_size, config.vision_config.patch_size
    seen, side = size // patch * patch, math.ceil(size // patch / 2)
    views = [View(side, side, (0, 0, seen, seen), frames=(n, n), time=time) for n, time in enumerate(times)]
    if views:
        views[-1] = replace(views[-1], newlines="last row")
    return MediaItem(size, size, views, is_video=True)
