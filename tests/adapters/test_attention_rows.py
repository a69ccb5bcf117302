"""Attention of a few rows is what the stock model's own eager attention says, in each form of mask and over filled caches."""

from __future__ import annotations

import copy

import pytest
import torch
from test_llava_conformance import TestLlava as Llava
from test_qwen2_vl_conformance import TestQwen2VL as Qwen2VL

SUBJECTS = [Llava, Qwen2VL]


@torch.no_grad()
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("subject", [kind() for kind in SUBJECTS], ids=lambda subject: type(subject).__name__)
def test_rows_equal_the_full_matrix(subject, attention):
    adapter, inputs = subject.adapter(), subject.batch(1, 2)
    eager, model = subject.model("eager"), subject.model(attention)
    turns = [inputs, {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 4]])}]
    caches, found = [None, None], []
    for turn in turns:
        full = eager(**turn, past_key_values=caches[0], output_attentions=True, use_cache=True)
        caches[0] = full.past_key_values

        def look(layer, args, kwargs):
            hidden = args[0]
            rows = torch.tensor([[hidden.shape[1] - 1, 1], [2, 0]])
            before = kwargs["past_key_values"].get_seq_length()
            found.append((rows, adapter.attention_rows(layer, hidden, copy.deepcopy(kwargs), rows, before)))

        handle = adapter.decoder_layers(model)[0].register_forward_pre_hook(look, with_kwargs=True)
        caches[1] = model(**turn, past_key_values=caches[1], use_cache=True).past_key_values
        handle.remove()
        rows, weights = found[-1]
        for sample in range(2):
            for place, row in enumerate(rows[sample].tolist()):
                column = row + full.attentions[0].shape[3] - full.attentions[0].shape[2]
                if turn is inputs and not inputs["attention_mask"][sample, column]:
                    continue
                torch.testing.assert_close(
                    weights[sample, :, place], full.attentions[0][sample, :, row], atol=1e-5, rtol=1e-4
                )
