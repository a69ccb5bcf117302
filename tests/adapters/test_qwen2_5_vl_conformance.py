"""Qwen2.5-VL keeps every promise, with pictures and videos mixed in one prompt."""

from __future__ import annotations

import torch
from qwen_samples import qwen_sample
from tiny_qwen2_5_vl import IMAGE, VIDEO, tiny_config
from transformers import Qwen2_5_VLForConditionalGeneration

from v2drop.conformance import AdapterConformance
from v2drop_qwen2_5_vl import Qwen2_5_VLAdapter


class TestQwen25VL(AdapterConformance):
    adapter = Qwen2_5_VLAdapter
    placeholders = (IMAGE, VIDEO)
    media_in_later_generate = False  # see Qwen2-VL

    def build_model(self):
        return Qwen2_5_VLForConditionalGeneration(tiny_config())

    def make_sample(self, generator, media):
        sample = qwen_sample(self, generator, media)
        if "video_grid_thw" in sample:
            sample["second_per_grid_ts"] = torch.tensor([0.5, 1.0, 2.0])[: len(sample["video_grid_thw"])]
        return sample
