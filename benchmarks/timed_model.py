"""The benchmarked model and its prompts."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

import v2drop

PREFIX, VISION, SUFFIX = 35, 576, 20
LENGTH = PREFIX + VISION + SUFFIX
HIDDEN = 512
SCHEDULE = v2drop.Schedule.preset("llava-1.5-192")
EVERYTHING = v2drop.Schedule([(stage.layer, 1.0) for stage in SCHEDULE.stages])


def build_model(layers: int = 32) -> LlavaForConditionalGeneration:
    """A LLaVA of hidden size 512 with random weights; the vision tower is not used."""
    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=1000, hidden_size=HIDDEN, intermediate_size=1376, num_hidden_layers=layers, num_attention_heads=8
    )
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=336, patch_size=14
    )
    return LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_id=999)).eval()


class Prompt:
    """Embeddings of a left-padded batch with marked vision tokens.

    Args:
        texts: number of text tokens before each sample's picture.
        pictures: number of vision tokens of each sample.
    """

    def __init__(self, texts: tuple[int, ...] = (PREFIX,), pictures: tuple[int, ...] = (VISION,)) -> None:
        lengths = [text + vision + SUFFIX for text, vision in zip(texts, pictures, strict=True)]
        longest = max(lengths)
        self.embeds = torch.randn(len(lengths), longest, HIDDEN) * 0.02
        self.position_ids = torch.arange(longest)[None]
        self.vision_mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
        self.attention_mask = torch.zeros(len(lengths), longest, dtype=torch.long)
        for row, (length, vision) in enumerate(zip(lengths, pictures, strict=True)):
            self.vision_mask[row, longest - SUFFIX - vision : longest - SUFFIX] = True
            self.attention_mask[row, longest - length :] = 1

    def dense(self, model: Any, **options: Any) -> Any:
        """The inner model's output for this prompt, on a stock model."""
        mask = None if self.attention_mask.all() else self.attention_mask
        return model.model(inputs_embeds=self.embeds, attention_mask=mask, use_cache=True, **options)

    def attached(self, model: Any, run: v2drop.Attachment, **options: Any) -> Any:
        """The same on an attached model."""
        run.vision_mask = self.vision_mask
        return self.dense(model, **options)
