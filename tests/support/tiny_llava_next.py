"""Tiny LLaVA-NeXT configurations, and random pictures for them."""

from __future__ import annotations

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaNextConfig
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

IMAGE, TILE, PATCH = 99, 20, 5
PINPOINTS = [[20, 40], [40, 20], [40, 40], [20, 60]]
SIZES = [(20, 40), (40, 20), (37, 40), (12, 50), (61, 22), (30, 30)]  # height, width: some are padded, some are not


def tiny_config():
    """A LLaVA-NeXT with a few thousand parameters."""
    text = LlamaConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=TILE,
        patch_size=PATCH,
    )
    return LlavaNextConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, image_grid_pinpoints=PINPOINTS)


def picture(generator, model, size):
    """Pixels [1, views, 3, H, W], size [1, 2] and the number of tokens, counted by the stock model itself."""
    views = image_size_to_num_patches(list(size), model.config.image_grid_pinpoints, TILE)
    pixels = torch.randn(1, views, 3, TILE, TILE, generator=generator)
    sizes = torch.tensor([size])
    with torch.no_grad():
        features = model.model.get_image_features(pixels, sizes).pooler_output
    return pixels, sizes, len(features[0])
