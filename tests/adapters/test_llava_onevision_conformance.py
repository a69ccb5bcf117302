"""LLaVA-OneVision keeps every promise, with pictures and videos mixed in one prompt."""

from __future__ import annotations

import torch
from tiny_llava_onevision import FRAMES, IMAGE, PINPOINTS, POOLED, SIZES, TILE, VIDEO, tiny_config
from transformers import LlavaOnevisionForConditionalGeneration
from transformers.models.llava_onevision.modeling_llava_onevision import image_size_to_num_patches

from v2drop.conformance import AdapterConformance
from v2drop_llava_onevision import LlavaOnevisionAdapter


class TestLlavaOnevision(AdapterConformance):
    adapter = LlavaOnevisionAdapter
    placeholders = (IMAGE, VIDEO)

    def build_model(self):
        return LlavaOnevisionForConditionalGeneration(tiny_config())

    @torch.no_grad()
    def make_sample(self, generator, media):
        videos = int(torch.randint(media + 1, (), generator=generator))
        count = media - videos
        sizes = torch.tensor(SIZES)[torch.randint(len(SIZES), (count,), generator=generator)]
        views = [image_size_to_num_patches(s.tolist(), PINPOINTS, TILE) if count == 1 else 1 for s in sizes]
        sample, tokens = {}, {VIDEO: iter([FRAMES * POOLED + 1] * videos)}
        if count:
            pixels = torch.randn(count, max(views), 3, TILE, TILE, generator=generator)
            sample |= {"pixel_values": pixels, "image_sizes": sizes, "batch_num_images": torch.tensor([count])}
            features = self.model().model.get_image_features(pixels, sizes, batch_num_images=[count])
            tokens[IMAGE] = iter(map(len, features.pooler_output))
        if videos:
            sample["pixel_values_videos"] = torch.randn(videos, FRAMES, 3, TILE, TILE, generator=generator)
        kinds = [([IMAGE] * count + [VIDEO] * videos)[n] for n in torch.randperm(media, generator=generator)]
        runs = [torch.full((next(tokens[kind]),), kind) for kind in kinds]
        return {"input_ids": self.prompt(generator, runs), **sample}
