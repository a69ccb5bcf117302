"""Tiny Qwen2.5-VL configurations."""

from __future__ import annotations

from transformers import Qwen2_5_VLConfig

START, END, IMAGE, VIDEO = 95, 96, 98, 99  # the same as in tiny_qwen2_vl


def tiny_config():
    """A Qwen2.5-VL with a few thousand parameters and window attention in its vision tower."""
    text = {
        "model_type": "qwen2_5_vl_text", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32, "patch_size": 4,
        "window_size": 16, "fullatt_block_indexes": [1],
    }  # fmt: skip
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, vision_start_token_id=START, vision_end_token_id=END,
        image_token_id=IMAGE, video_token_id=VIDEO,
    )  # fmt: skip
