"""Builds each zoo model before training, from stock transformers classes with very small configs."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
)

from .labels import PATCH, TILE
from .tokens import chat_template

try:  # transformers 5.0 has the Pillow processors under the plain names, which need torchvision in later releases
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as ImageProcessor
    from transformers.models.llava_next.image_processing_pil_llava_next import (
        LlavaNextImageProcessorPil as TileProcessor,
    )
except ImportError:
    from transformers import CLIPImageProcessor as ImageProcessor
    from transformers import LlavaNextImageProcessor as TileProcessor

CANVAS = 144
HIDDEN = 128
LAYERS = 12
YOUNG_LAYERS = (
    0,
    2,
    4,
    6,
)  # warm-up layers: a language model trained from scratch learns to answer with these; the others join later
NORMALIZE = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}


def _token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _llama(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        **_token_ids(tokenizer),
    )


def _clip(image_size: int) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=image_size,
        patch_size=PATCH,
        projection_dim=HIDDEN,
    )


def build_llava(tokenizer: PreTrainedTokenizerFast) -> tuple[Any, Any]:
    """The untrained tiny LLaVA: CLIP vision tower, projector, Llama text model of 12 layers; 144 tokens per picture."""
    config = LlavaConfig(
        text_config=_llama(tokenizer),
        vision_config=_clip(CANVAS),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(CANVAS // PATCH) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
        **_token_ids(tokenizer),
    )
    model = LlavaForConditionalGeneration(config)
    _start_positions_from_the_grid(model)
    start_language_model(model)
    processor = LlavaProcessor(
        image_processor=ImageProcessor(
            size={"shortest_edge": CANVAS}, crop_size={"height": CANVAS, "width": CANVAS}, **NORMALIZE
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template("<image>"),
    )
    return model, processor


def build_llava_next(tokenizer: PreTrainedTokenizerFast) -> tuple[Any, Any]:
    """The tiny LLaVA-NeXT: the same parts on tiles of 96 pixels; two tiles, side by side or stacked."""
    pinpoints = [[TILE, 2 * TILE], [2 * TILE, TILE]]
    config = LlavaNextConfig(
        text_config=_llama(tokenizer),
        vision_config=_clip(TILE),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(TILE // PATCH) ** 2,
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
        **_token_ids(tokenizer),
    )
    processor = LlavaNextProcessor(
        image_processor=TileProcessor(
            size={"shortest_edge": TILE},
            crop_size={"height": TILE, "width": TILE},
            image_grid_pinpoints=pinpoints,
            **NORMALIZE,
        ),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template("<image>"),
    )
    model = LlavaNextForConditionalGeneration(config)
    start_language_model(model)
    return model, processor


def build_qwen2_vl(tokenizer: PreTrainedTokenizerFast) -> tuple[Any, Any]:
    """The tiny Qwen2-VL: a vision tower without absolute positions, Qwen2 text model of 12 layers with M-RoPE.

    A token shows 12 x 12 pixels of two frames. Rotary frequencies fall from 1 to 0.005 per step. The first two pairs of
    a head encode time, the next three encode rows, and the first few of the last eleven encode columns; the slow rest is
    left for comparing contents at any distance.
    """
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in (
        ("image_token_id", "<image>"), ("video_token_id", "<video>"),
        ("vision_start_token_id", "<vision>"), ("vision_end_token_id", "</vision>"),
    )}  # fmt: skip
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 300.0, "mrope_section": [2, 3, 11]},
            **_token_ids(tokenizer),
        },
        vision_config={
            "depth": 3,
            "embed_dim": 80,
            "num_heads": 4,
            "mlp_ratio": 3,
            "hidden_size": HIDDEN,
            "patch_size": PATCH // 2,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        tie_word_embeddings=False,
        **ids,
        **_token_ids(tokenizer),
    )
    model = Qwen2VLForConditionalGeneration(config)
    start_language_model(model)
    patches = {"patch_size": PATCH // 2, "merge_size": 2, "temporal_patch_size": 2, **NORMALIZE}
    clip = (2 * TILE) ** 2 // 4
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            size={"shortest_edge": TILE * TILE, "longest_edge": CANVAS * CANVAS}, **patches
        ),
        tokenizer=tokenizer,
        # a reader may have enlarged a small video; the margin of a few pixels allows for rounding errors
        video_processor=Qwen2VLVideoProcessor(size={"shortest_edge": clip - 96, "longest_edge": clip + 96}, **patches),
        chat_template=chat_template("<vision> <image> </vision>", "<vision> <video> </vision>"),
    )
    return model, processor


@torch.no_grad()
def _start_positions_from_the_grid(model: LlavaForConditionalGeneration) -> None:
    """Initialize the position table with 2-D sines and cosines: learned from noise, positions stay blurred."""
    table = next(p for name, p in model.named_parameters() if name.endswith("position_embedding.weight"))
    quarter, grid = HIDDEN // 4, CANVAS // PATCH
    rate = torch.exp(-math.log(100.0) * torch.arange(quarter) / quarter)
    place = torch.arange(grid)[:, None] * rate
    waves = torch.cat([place.sin(), place.cos()], dim=1)
    rows = waves[:, None, :].expand(grid, grid, -1)
    columns = waves[None, :, :].expand(grid, grid, -1)
    table.zero_()
    table[1:] = 0.5 * torch.cat([rows, columns], dim=-1).reshape(grid * grid, HIDDEN)


@torch.no_grad()
def start_language_model(model: Any) -> None:
    """Initialize clearly different word embeddings, and make all but the warm-up layers pass their input through.

    From transformers' default scale (0.02), the embeddings of answer words soon all point the same way, and separating
    them takes most of the training.
    """
    model.get_input_embeddings().weight.mul_(25)
    for number, layer in enumerate(model.model.language_model.layers):
        if number not in YOUNG_LAYERS:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
