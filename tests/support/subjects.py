"""The tested architectures: tiny models and inputs for the conformance kit and for other tests of all architectures."""

from __future__ import annotations

import os
import re

import torch
import transformers
from transformers import (
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    LlavaOnevisionForConditionalGeneration,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.llava_onevision.modeling_llava_onevision import image_size_to_num_patches

from support import tiny_llava, tiny_qwen2_5_vl, tiny_qwen2_vl
from support import tiny_llava_next as anyres
from support import tiny_llava_onevision as onevision
from support.qwen_samples import qwen_sample
from v2drop.conformance import Subject
from v2drop_llava import LlavaAdapter
from v2drop_llava_next import LlavaNextAdapter
from v2drop_llava_onevision import LlavaOnevisionAdapter
from v2drop_qwen2_5_vl import Qwen2_5_VLAdapter
from v2drop_qwen2_vl import Qwen2VLAdapter


class LlavaSubject(Subject):
    """Pictures of one size."""

    adapter = LlavaAdapter
    placeholders = (tiny_llava.IMAGE,)
    cases = 240

    def build_model(self):
        return LlavaForConditionalGeneration(tiny_llava.tiny_config())

    def make_sample(self, generator, media):
        sample = {"input_ids": self.prompt(generator, [torch.full((tiny_llava.PICTURE,), tiny_llava.IMAGE)] * media)}
        if media:
            sample["pixel_values"] = torch.randn(
                media, 3, 5 * tiny_llava.SIDE, 5 * tiny_llava.SIDE, generator=generator
            )
        return sample


class LlavaNextSubject(Subject):
    """Pictures of any resolution, in tiles."""

    adapter = LlavaNextAdapter
    placeholders = (anyres.IMAGE,)

    def build_model(self):
        return LlavaNextForConditionalGeneration(anyres.tiny_config())

    def make_sample(self, generator, media):
        sizes = [anyres.SIZES[int(torch.randint(len(anyres.SIZES), (), generator=generator))] for _ in range(media)]
        pictures = [anyres.picture(generator, self.model(), size) for size in sizes]
        sample = {"input_ids": self.prompt(generator, [torch.full((tokens,), anyres.IMAGE) for *_, tokens in pictures])}
        if media:
            most = max(pixels.shape[1] for pixels, _, _ in pictures)
            padded = [
                torch.cat([p, p.new_zeros(1, most - p.shape[1], 3, anyres.TILE, anyres.TILE)], 1)
                for p, _, _ in pictures
            ]
            sample |= {"pixel_values": torch.cat(padded), "image_sizes": torch.cat([s for _, s, _ in pictures])}
        return sample


class LlavaOnevisionSubject(Subject):
    """Pictures of any resolution and videos, mixed in one prompt."""

    adapter = LlavaOnevisionAdapter
    placeholders = (onevision.IMAGE, onevision.VIDEO)

    def build_model(self):
        return LlavaOnevisionForConditionalGeneration(onevision.tiny_config())

    @torch.no_grad()
    def make_sample(self, generator, media):
        videos = int(torch.randint(media + 1, (), generator=generator))
        count = media - videos
        sizes = torch.tensor(onevision.SIZES)[torch.randint(len(onevision.SIZES), (count,), generator=generator)]
        views = [
            image_size_to_num_patches(s.tolist(), onevision.PINPOINTS, onevision.TILE) if count == 1 else 1
            for s in sizes
        ]
        sample, tokens = (
            {},
            {onevision.VIDEO: iter([onevision.FRAMES * onevision.POOLED + 1] * videos)},
        )
        if count:
            pixels = torch.randn(count, max(views), 3, onevision.TILE, onevision.TILE, generator=generator)
            sample |= {"pixel_values": pixels, "image_sizes": sizes, "batch_num_images": torch.tensor([count])}
            features = self.model().model.get_image_features(pixels, sizes, batch_num_images=[count])
            tokens[onevision.IMAGE] = iter(map(len, features.pooler_output))
        if videos:
            sample["pixel_values_videos"] = torch.randn(
                videos,
                onevision.FRAMES,
                3,
                onevision.TILE,
                onevision.TILE,
                generator=generator,
            )
        kinds = [
            ([onevision.IMAGE] * count + [onevision.VIDEO] * videos)[n]
            for n in torch.randperm(media, generator=generator)
        ]
        runs = [torch.full((next(tokens[kind]),), kind) for kind in kinds]
        return {"input_ids": self.prompt(generator, runs), **sample}


class Qwen2VLSubject(Subject):
    """Pictures and videos of any size, mixed in one prompt."""

    adapter = Qwen2VLAdapter
    placeholders = (tiny_qwen2_vl.IMAGE, tiny_qwen2_vl.VIDEO)
    # stock generate() computes M-RoPE for the whole prompt and needs all grids, but only the pixels of new pictures
    media_in_later_generate = False

    def build_model(self):
        return Qwen2VLForConditionalGeneration(tiny_qwen2_vl.tiny_config())

    def make_sample(self, generator, media):
        return qwen_sample(self, generator, media)


class Qwen25VLSubject(Subject):
    """Like Qwen2-VL, with the seconds between frames."""

    adapter = Qwen2_5_VLAdapter
    placeholders = (tiny_qwen2_5_vl.IMAGE, tiny_qwen2_5_vl.VIDEO)
    media_in_later_generate = False  # see Qwen2-VL

    def build_model(self):
        return Qwen2_5_VLForConditionalGeneration(tiny_qwen2_5_vl.tiny_config())

    def make_sample(self, generator, media):
        sample = qwen_sample(self, generator, media)
        # stock models of transformers 5.3.0 to 5.5.3 also expect one of these for each picture, so there are too few
        if "video_grid_thw" in sample and not (5, 3) <= tuple(
            map(int, re.findall(r"\d+", transformers.__version__)[:3])
        ) < (5, 5, 4):
            sample["second_per_grid_ts"] = torch.tensor([0.5, 1.0, 2.0])[: len(sample["video_grid_thw"])]
        return sample


if os.environ.get("V2DROP_TEST_SHORT"):  # `make test-versions`
    for kind in (LlavaSubject, LlavaNextSubject, LlavaOnevisionSubject, Qwen2VLSubject, Qwen25VLSubject):
        kind.cases = 100

SUBJECTS = [LlavaSubject(), LlavaNextSubject(), LlavaOnevisionSubject(), Qwen2VLSubject(), Qwen25VLSubject()]
