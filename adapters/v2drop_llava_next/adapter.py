"""LLaVA-NeXT: a picture is a view of the whole, then one grid made of tiles, with a newline token after each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.image_processing_utils import select_best_resolution

from v2drop import Adapter, MediaItem, VisionLayout
from v2drop.layout.anyres import tiled_view, whole_view


class LlavaNextAdapter(Adapter):
    """Adapter for `LlavaNextForConditionalGeneration` and `LlavaNextModel`."""

    model_types = ("llava_next",)
    extra = "v2drop[llava-next]"
    lmms_model = "v2drop_llava_next"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Boxes are in pixels of the original pictures, whose sizes come as `image_sizes`."""
        mask = self.placeholder_mask(model, inputs, "image_token_id")
        sizes = inputs.get("image_sizes")
        pictures = [
            _picture(int(height), int(width), model.config) for height, width in ([] if sizes is None else sizes)
        ]
        return VisionLayout.of((mask, pictures))


def _picture(height: int, width: int, config: Any) -> MediaItem:
    tile, patch = config.vision_config.image_size, config.vision_config.patch_size
    canvas = select_best_resolution((height, width), config.image_grid_pinpoints)
    views = [whole_view(height, width, tile, patch), tiled_view(height, width, canvas, tile, patch)]
    return MediaItem(height, width, views)
