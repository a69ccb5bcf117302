"""flex_attention: its masks are functions of places, and cannot be gathered."""

from __future__ import annotations

import shutil

import pytest
import torch
from tiny_llava import IMAGE, batch, tiny_llava

import v2drop

HALVES = v2drop.Schedule([(1, 0.5), (3, 0.5), (5, 0)])
GREEDY = {"max_new_tokens": 4, "do_sample": False}


@pytest.mark.skipif(shutil.which("g++") is None, reason="on a CPU flex_attention is compiled with g++")
@torch._dynamo.config.patch(automatic_dynamic_shapes=False)  # its code for changing shapes does not compile on CPUs
@torch.no_grad()
def test_flex_attention_gives_what_sdpa_gives():
    model, flex = tiny_llava(), tiny_llava(attention="flex_attention").requires_grad_(False)
    for pictures in ((2,), (1, 0, 2)):
        inputs = batch(torch.Generator().manual_seed(0), pictures)
        text = (inputs["input_ids"] != IMAGE) & inputs["attention_mask"].bool()
        found = []
        for each in (model, flex):
            with v2drop.attach(each, HALVES) as run:
                found.append(
                    (each(**inputs).logits[text], run.report.to_dict()["kept"], each.generate(**inputs, **GREEDY))
                )
        torch.testing.assert_close(found[0][0], found[1][0], atol=1e-4, rtol=1e-4)
        assert found[0][1] == found[1][1]
        assert torch.equal(found[0][2], found[1][2])
