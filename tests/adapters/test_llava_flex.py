"""flex_attention as a user runs it, compiled; the conformance kit tests it uncompiled, in more cases."""

from __future__ import annotations

import shutil

import pytest
import torch
from support.tiny_llava import IMAGE, batch, tiny_llava

import v2drop

HALVES = v2drop.Schedule([(1, 0.5), (3, 0.5), (5, 0)])
GREEDY = {"max_new_tokens": 4, "do_sample": False}


@pytest.mark.skipif(shutil.which("g++") is None, reason="on a CPU flex_attention is compiled with g++")
@torch._dynamo.config.patch(automatic_dynamic_shapes=False)  # its code for changing shapes does not compile on CPUs
@torch.no_grad()
def test_compiled_flex_attention_gives_what_sdpa_gives():
    inputs = batch(torch.Generator().manual_seed(0), (1, 0, 2))
    text = (inputs["input_ids"] != IMAGE) & inputs["attention_mask"].bool()
    found = []
    for model in (tiny_llava(), tiny_llava(attention="flex_attention").requires_grad_(False)):
        with v2drop.attach(model, HALVES) as run:
            found.append(
                (model(**inputs).logits[text], run.report.to_dict()["kept"], model.generate(**inputs, **GREEDY))
            )
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-4, rtol=1e-4)
    assert found[0][1] == found[1][1]
    assert torch.equal(found[0][2], found[1][2])
