"""The zoo's models: what each one looks like before training. One entry per architecture, all trained by train.py."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from .questions import ANSWER_WORDS, QUESTION_WORDS

try:  # transformers 5.0 names the Pillow processor CLIPImageProcessor; later releases need torchvision under that name
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as ImageProcessor
except ImportError:
    from transformers import CLIPImageProcessor as ImageProcessor


CANVAS, PATCH = 144, 12
GRID = CANVAS // PATCH
HIDDEN = 128
YOUNG_LAYERS = (0, 2, 4, 6)  # the language model learns to answer with these; the others join later
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "user:", "assistant:"]
CHAT_TEMPLATE = (
    "{{ '<s>' }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ ' user:' }}{% else %}{{ ' assistant:' }}{% endif %}"
    "{% if message['content'] is string %}{{ ' ' + message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ ' <image>' }}{% elif part['type'] == 'text' %}{{ ' ' + part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] != 'user' %}{{ ' </s>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ ' assistant:' }}{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer over every word that the zoo's questions and answers use."""
    words = list(dict.fromkeys([*SPECIAL, *QUESTION_WORDS, *ANSWER_WORDS]))
    model = WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
        model_max_length=4096,
    )


def build_llava() -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The untrained tiny LLaVA: CLIP vision tower, projector, Llama text model of 12 layers; 144 tokens a picture."""
    tokenizer = build_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=12,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=CANVAS,
        patch_size=PATCH,
        projection_dim=HIDDEN,
    )
    config = LlavaConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=GRID * GRID,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    model = LlavaForConditionalGeneration(config)
    _start_positions_from_the_grid(model)
    _start_language_model(model)
    image_processor = ImageProcessor(
        size={"shortest_edge": CANVAS},
        crop_size={"height": CANVAS, "width": CANVAS},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )
    processor = LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    return model, processor


@torch.no_grad()
def _start_positions_from_the_grid(model: LlavaForConditionalGeneration) -> None:
    """Start the vision tower's position table from 2-D sines and cosines: learned from noise, places stay blurred."""
    table = next(p for name, p in model.named_parameters() if name.endswith("position_embedding.weight"))
    quarter = HIDDEN // 4
    rate = torch.exp(-math.log(100.0) * torch.arange(quarter) / quarter)
    place = torch.arange(GRID)[:, None] * rate
    waves = torch.cat([place.sin(), place.cos()], dim=1)
    rows = waves[:, None, :].expand(GRID, GRID, -1)
    columns = waves[None, :, :].expand(GRID, GRID, -1)
    table.zero_()
    table[1:] = 0.5 * torch.cat([rows, columns], dim=-1).reshape(GRID * GRID, HIDDEN)


@torch.no_grad()
def _start_language_model(model: LlavaForConditionalGeneration) -> None:
    """Start with words that differ clearly, and with layers beyond the young ones passing everything through.

    From transformers' default scale (0.02) the embeddings of answer words soon all point the same way, and telling
    them apart takes most of the training.
    """
    model.get_input_embeddings().weight.mul_(25)
    for number, layer in enumerate(model.model.language_model.layers):
        if number not in YOUNG_LAYERS:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


def save(model: Any, processor: Any, folder: Path) -> None:
    """Save a trained model in bfloat16, with its processor, so that every transformers 5 loads it.

    5.23 saves CLIP's weights without the "vision_model" in their names that 5.0 and the published checkpoints have;
    with it, both load them.
    """
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    published = {
        re.sub(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", n): t for n, t in weights.items()
    }
    save_file(published, folder / "model.safetensors", metadata={"format": "pt"})


RECIPES: dict[str, Any] = {"llava": build_llava}
