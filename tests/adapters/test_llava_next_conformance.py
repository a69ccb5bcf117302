"""LLaVA-NeXT keeps every promise."""

from __future__ import annotations

import torch
from tiny_llava_next import IMAGE, SIZES, TILE, picture, tiny_config
from transformers import LlavaNextForConditionalGeneration

from v2drop.conformance import AdapterConformance
from v2drop_llava_next import LlavaNextAdapter


class TestLlavaNext(AdapterConformance):
    adapter = LlavaNextAdapter
    placeholders = (IMAGE,)

    def build_model(self):
        return LlavaNextForConditionalGeneration(tiny_config())

    def make_sample(self, generator, media):
        sizes = [SIZES[int(torch.randint(len(SIZES), (), generator=generator))] for _ in range(media)]
        pictures = [picture(generator, self.model(), size) for size in sizes]
        sample = {"input_ids": self.prompt(generator, [torch.full((tokens,), IMAGE) for *_, tokens in pictures])}
        if media:
            most = max(pixels.shape[1] for pixels, _, _ in pictures)
            padded = [torch.cat([p, p.new_zeros(1, most - p.shape[1], 3, TILE, TILE)], 1) for p, _, _ in pictures]
            sample |= {"pixel_values": torch.cat(padded), "image_sizes": torch.cat([s for _, s, _ in pictures])}
        return sample
