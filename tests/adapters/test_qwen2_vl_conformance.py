"""Qwen2-VL keeps every promise, with pictures and videos mixed in one prompt."""

from __future__ import annotations

from qwen_samples import qwen_sample
from tiny_qwen2_vl import IMAGE, VIDEO, tiny_config
from transformers import Qwen2VLForConditionalGeneration

from v2drop.conformance import AdapterConformance
from v2drop_qwen2_vl import Qwen2VLAdapter


class TestQwen2VL(AdapterConformance):
    adapter = Qwen2VLAdapter
    placeholders = (IMAGE, VIDEO)
    # stock generate() works out M-RoPE for the whole prompt and wants all grids, but pixels of the new pictures alone
    media_in_later_generate = False

    def build_model(self):
        return Qwen2VLForConditionalGeneration(tiny_config())

    def make_sample(self, generator, media):
        return qwen_sample(self, generator, media)
