"""Qwen2-VL keeps every promise, with pictures and videos mixed in one prompt."""

from __future__ import annotations

import inspect

import torch
from tiny_qwen2_vl import END, IMAGE, START, VIDEO, tiny_config
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
        runs, grids, patches = [], {IMAGE: [], VIDEO: []}, {IMAGE: [], VIDEO: []}
        for _ in range(media):
            kind = (IMAGE, VIDEO)[int(torch.randint(2, (), generator=generator))]
            frames = 1 if kind == IMAGE else int(torch.randint(1, 4, (), generator=generator))
            rows, columns = (2 * torch.randint(1, 5, (2,), generator=generator)).tolist()
            grids[kind].append((frames, rows, columns))
            patches[kind].append(torch.randn(frames * rows * columns, 3 * 2 * 4 * 4, generator=generator))
            last = [END] if torch.rand((), generator=generator) > 0.3 else []
            runs.append(torch.tensor([START, *[kind] * (frames * rows * columns // 4), *last]))
        ids = self.prompt(generator, runs)
        sample = {"input_ids": ids}
        if "mm_token_type_ids" in inspect.signature(Qwen2VLForConditionalGeneration.forward).parameters:
            sample["mm_token_type_ids"] = (ids == IMAGE) + 2 * (ids == VIDEO)  # transformers 5.0 does without them
        for kind, pixels, grid in ((IMAGE, "pixel_values", "image"), (VIDEO, "pixel_values_videos", "video")):
            if grids[kind]:
                sample |= {pixels: torch.cat(patches[kind]), f"{grid}_grid_thw": torch.tensor(grids[kind])}
        return sample
