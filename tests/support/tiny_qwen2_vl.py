"""Tiny Qwen2-VL configurations."""

from __future__ import annotations

from transformers import Qwen2VLConfig

START, END, IMAGE, VIDEO = 95, 96, 98, 99


def tiny_config():
    """A Qwen2-VL with a few thousand parameters."""
    text = {
        "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 6, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
    }  # fmt: skip
    vision = {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    return Qwen2VLConfig(
        text_config=text, vision_config=vision, vision_start_token_id=START, vision_end_token_id=END,
        image_token_id=IMAGE, video_token_id=VIDEO,
    )  # fmt: skip
