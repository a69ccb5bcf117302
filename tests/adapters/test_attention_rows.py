"""Attention of a few rows is what the stock model's own eager attention says, in each form of mask and over filled caches."""

from __future__ import annotations

import copy

import pytest
import torch
from support.subjects import SUBJECTS
from transformers import DynamicCache, QuantizedCache

CACHES = {
    "dynamic": lambda config: DynamicCache(),
    "quantized": lambda config: QuantizedCache("quanto", config, nbits=4, q_group_size=16),
}


@torch.no_grad()
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_rows_equal_the_full_matrix(subject, attention, cache):
    adapter, inputs = subject.adapter(), subject.batch(1, 2)
    model, found = copy.deepcopy(subject.model(attention)), []
    turns = [inputs, *({"input_ids": torch.tensor([[5, 6, 7], [8, 9, 4]])} for _ in range(2))]

    def look(layer, args, kwargs):
        hidden = args[0]
        rows = torch.tensor([[hidden.shape[1] - 1, 1], [2, 0]])
        given = adapter.layer_arguments(layer).known(kwargs)
        before = given["cache"].get_seq_length()
        found.append((rows, adapter.attention_rows(layer, hidden, given, rows, before)))

    adapter.decoder_layers(model)[0].register_forward_pre_hook(look, with_kwargs=True)
    caches = {each: CACHES[cache](model.config) for each in (subject.model("eager"), model)}
    for turn in turns:
        outputs = {
            each: each(**turn, past_key_values=filled, output_attentions=each is not model)
            for each, filled in caches.items()
        }
        full = outputs[subject.model("eager")].attentions[0]
        rows, weights = found[-1]
        for sample, place in ((0, 0), (0, 1), (1, 0), (1, 1)):
            row = int(rows[sample, place])
            if turn is inputs and not inputs["attention_mask"][sample, row]:
                continue  # stock rows of padding are of no use
            torch.testing.assert_close(weights[sample, :, place], full[sample, :, row], atol=1e-5, rtol=1e-4)
