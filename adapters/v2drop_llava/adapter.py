"""LLaVA-1.5: every picture is one square grid of tokens, and rotary positions are those of plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from v2drop import Adapter, MediaItem, View, VisionLayout


class LlavaAdapter(Adapter):
    """Adapter for `LlavaForConditionalGeneration` and `LlavaModel`."""

    model_types = ("llava",)
    extra = "v2drop[llava]"
    lmms_model = "v2drop_llava_hf"

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """See `Adapter.layout`. Sizes are those of the pictures as resized and cropped by the processor."""
        mask = self.placeholder_mask(model, inputs, "image_token_id")
        config, vision = model.config, model.config.vision_config
        class_token = config.vision_feature_select_strategy == "full" and vision.model_type == "clip_vision_model"
        if inputs.get("image_sizes") is not None:  # towers that take pictures of any size, such as Pixtral's
            sizes = [(int(height), int(width)) for height, width in inputs["image_sizes"]]
        else:
            tokens = (vision.image_size // vision.patch_size) ** 2 + class_token
            sizes = [(vision.image_size, vision.image_size)] * -(-int(mask.sum()) // tokens)
        return VisionLayout.of((mask, [_picture(*size, vision.patch_size, class_token) for size in sizes]))


def _picture(height: int, width: int, patch: int, class_token: bool) -> MediaItem:
    rows, columns = height // patch, width // patch
    grid = View(rows, columns, (0, 0, columns * patch, rows * patch), class_token=class_token)
    return MediaItem(height, width, [grid])
