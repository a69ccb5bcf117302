"""Tiny real LLaVA models and random inputs for them."""

from __future__ import annotations

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

PAD, IMAGE, VOCABULARY = 0, 99, 100
SIDE = 4  # tokens per row and column of a picture
PICTURE = SIDE * SIDE


def tiny_config(layers=6):
    """The configuration of a LLaVA with a few thousand parameters."""
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=PAD,
        bos_token_id=1,
        eos_token_id=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=5 * SIDE,
        patch_size=5,
    )
    return LlavaConfig(text_config=text, vision_config=vision, image_token_id=IMAGE, image_seq_length=PICTURE)


def tiny_llava(seed=0, layers=6, attention="sdpa", dtype=torch.float32):
    """A stock LlavaForConditionalGeneration with random weights large enough to make layers differ."""
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(tiny_config(layers)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(5 if "language_model.layers" in name else 10)
    model.generation_config.eos_token_id = None  # answers of a fixed length are easier to compare
    model.generation_config.suppress_tokens = [IMAGE]  # stock generation without a cache would expect a picture for it
    model.set_attn_implementation(attention)
    return model.to(dtype)


def prompt(generator, pictures, ends_in_picture=False, text=(1, 6)):
    """Token ids of one sample: pictures with text before and between them."""

    def words():
        count = int(torch.randint(*text, (1,), generator=generator))
        return torch.randint(3, IMAGE - 1, (count,), generator=generator)

    parts = [words()]
    for number in range(pictures):
        parts.append(torch.full((PICTURE,), IMAGE))
        if not (ends_in_picture and number == pictures - 1):
            parts.append(words())
    return torch.cat(parts)


def batch(generator, pictures, padding_side="left", ends_in_picture=False, dtype=torch.float32):
    """Model inputs for samples with `pictures[b]` pictures each, padded to one length."""
    samples = [prompt(generator, count, ends_in_picture) for count in pictures]
    length = max(map(len, samples))
    ids = torch.full((len(samples), length), PAD)
    mask = torch.zeros(len(samples), length, dtype=torch.long)
    for row, sample in enumerate(samples):
        window = slice(length - len(sample), length) if padding_side == "left" else slice(0, len(sample))
        ids[row, window], mask[row, window] = sample, 1
    inputs = {"input_ids": ids, "attention_mask": mask}
    if sum(pictures):
        inputs["pixel_values"] = torch.randn(sum(pictures), 3, 5 * SIDE, 5 * SIDE, generator=generator).to(dtype)
    return inputs
