"""LLaVA-1.5 keeps every promise."""

from __future__ import annotations

import torch
from tiny_llava import IMAGE, PICTURE, SIDE, tiny_config
from transformers import LlavaForConditionalGeneration

from v2drop.conformance import AdapterConformance
from v2drop_llava import LlavaAdapter


class TestLlava(AdapterConformance):
    adapter = LlavaAdapter
    placeholders = (IMAGE,)
    cases = 240

    def build_model(self):
        return LlavaForConditionalGeneration(tiny_config())

    def make_sample(self, generator, media):
        sample = {"input_ids": self.prompt(generator, [torch.full((PICTURE,), IMAGE)] * media)}
        if media:
            sample["pixel_values"] = torch.randn(media, 3, 5 * SIDE, 5 * SIDE, generator=generator)
        return sample
