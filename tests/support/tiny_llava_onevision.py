"""Tiny LLaVA-OneVision configurations."""

from __future__ import annotations

from transformers import LlavaOnevisionConfig

IMAGE, VIDEO = 99, 98
TILE, PATCH = 20, 4
PINPOINTS = [[20, 20], [20, 40], [40, 20], [40, 40], [20, 60]]
SIZES = [(20, 40), (40, 20), (37, 40), (12, 50), (61, 22), (17, 18)]
FRAMES = 3  # the same for all videos, as stock models stack them
POOLED = 3 * 3  # tokens of a frame: half of a picture's 5 x 5 along each side


def tiny_config():
    """A LLaVA-OneVision with a few thousand parameters; grids with more tokens than two tiles shrink."""
    text = {
        "model_type": "qwen2", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": TILE, "patch_size": PATCH, "vision_use_head": False,
    }  # fmt: skip
    return LlavaOnevisionConfig(
        text_config=text, vision_config=vision, image_token_id=IMAGE, video_token_id=VIDEO,
        image_grid_pinpoints=PINPOINTS, vision_aspect_ratio="anyres_max_2",
    )  # fmt: skip
