"""The model that is measured, its prompts, and how a call is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import CLIPVisionConfig, DynamicCache, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

import v2drop

PREFIX, VISION, SUFFIX = 35, 576, 20
LENGTH = PREFIX + VISION + SUFFIX
HIDDEN = 512
SCHEDULE = v2drop.Schedule.preset("llava-1.5-192")
EVERYTHING = v2drop.Schedule([(stage.layer, 1.0) for stage in SCHEDULE.stages])


def build_model(layers: int = 32) -> LlavaForConditionalGeneration:
    """A LLaVA of hidden size 512 with random weights; the vision tower takes no part."""
    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=1000, hidden_size=HIDDEN, intermediate_size=1376, num_hidden_layers=layers, num_attention_heads=8
    )
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=336, patch_size=14
    )
    return LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_id=999)).eval()


class Prompt:
    """Embeddings of a batch that is padded on the left, its vision tokens marked.

    Args:
        texts: tokens of text in front of each sample's picture.
        pictures: vision tokens of each sample.
    """

    def __init__(self, texts: tuple[int, ...] = (PREFIX,), pictures: tuple[int, ...] = (VISION,)) -> None:
        lengths = [text + vision + SUFFIX for text, vision in zip(texts, pictures, strict=True)]
        longest = max(lengths)
        self.embeds = torch.randn(len(lengths), longest, HIDDEN) * 0.02
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


class Ideal:
    """The same decoder layers on inputs that are already short, as a run with dropping leaves them: no scoring, no gathering."""

    def __init__(self, model: Any, prompt: Prompt) -> None:
        self.model, self.prompt = model, prompt
        self.inputs: dict[int, tuple[torch.Tensor, dict[str, Any]]] = {}
        layers = model.model.language_model.layers
        with v2drop.attach(model, SCHEDULE) as run:
            hooks = [
                layers[layer].register_forward_pre_hook(self._keep(layer), with_kwargs=True)
                for layer in (0, *(stage.layer for stage in SCHEDULE.stages))
            ]
            prompt.attached(model, run)
            for hook in hooks:
                hook.remove()

    def _keep(self, layer: int) -> Callable[..., None]:
        def hook(_: Any, args: Any, kwargs: Any) -> None:
            self.inputs[layer] = args[0].clone(), {k: kwargs[k] for k in ("position_embeddings", "attention_mask")}

        return hook

    def __call__(self) -> torch.Tensor:
        language_model = self.model.model.language_model
        cache = DynamicCache(config=self.model.config.text_config)
        positions = torch.arange(self.prompt.embeds.shape[1])[None]
        language_model.rotary_emb(self.prompt.embeds, position_ids=positions)
        for number, layer in enumerate(language_model.layers):
            if number in self.inputs:
                hidden, options = self.inputs[number]
            hidden = layer(hidden, past_key_values=cache, use_cache=True, **options)
        return language_model.norm(hidden)


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turns(ways: dict[str, Callable[[], float]], number: int) -> dict[str, float]:
    """One interleaved round; each round starts with another way, so that none is always first."""
    names = list(ways)
    first = number % len(names)
    return {name: ways[name]() for name in names[first:] + names[:first]}
