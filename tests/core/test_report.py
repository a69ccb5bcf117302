"""What a report says agrees with what was run."""

from __future__ import annotations

import json

import pytest
import torch
from support.tiny_llava import PICTURE, batch, tiny_llava
from torch.utils.flop_counter import FlopCounterMode

import v2drop

SCHEDULE = v2drop.Schedule([(1, 0.5), (4, 0.25)])


@pytest.fixture(scope="module")
def model():
    return tiny_llava(attention="eager")  # whose attention is plain matrix products, which the counter counts


def inputs_for(*pictures):
    return batch(torch.Generator().manual_seed(0), pictures)


def counted_flops(model, inputs):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    counts = counter.get_flop_counts()
    return sum(sum(counts[f"LlavaForConditionalGeneration.model.language_model.layers.{n}"].values()) for n in range(6))


@pytest.mark.parametrize("pictures", [(1,), (2, 0, 1)])
def test_flops_are_those_of_the_matrix_products(model, pictures):
    inputs = inputs_for(*pictures)
    dense = counted_flops(model, inputs)
    with v2drop.attach(model, SCHEDULE) as run:
        dropped = counted_flops(model, inputs)
    assert run.report.flops == (dense, dropped)
    assert run.report.flops.ratio == dropped / dense < 1


def test_report_is_plain_data_and_a_table(model):
    with v2drop.attach(model, SCHEDULE) as run, torch.no_grad():
        model(**inputs_for(2, 0))
    report = run.report
    data = json.loads(json.dumps(report.to_dict()))
    assert data["vision_tokens"] == [2 * PICTURE, 0]
    assert data["tokens_per_layer"] == [PICTURE] + [PICTURE / 2] * 3 + [PICTURE / 8] * 2
    assert report.retained == pytest.approx(sum(data["tokens_per_layer"]) / 6 / PICTURE)
    assert [len(sample) for sample in data["kept"]["4"]] == [PICTURE // 4, 0]
    for line in ("32 vision tokens in 2 samples", "0 - 0", "1 - 3", "4 - 5", "retained", "FLOPs", "KV bytes"):
        assert line in str(report)


def test_tokens_kept_are_those_of_each_sample(model):
    with v2drop.attach(model, SCHEDULE) as run, torch.no_grad():
        model(**inputs_for(2, 0, 1))
    two = (2 * PICTURE + 3 * PICTURE + 2 * PICTURE / 4) / 6  # the layers before, between and behind the stages
    assert run.report.tokens_kept == pytest.approx([two, 0, two / 2])


def test_positions_count_from_the_caches_start(model):
    inputs = inputs_for(1)
    with v2drop.attach(model, SCHEDULE) as run, torch.no_grad():
        first = model(**inputs)
        past = inputs["input_ids"].shape[1]
        again = {**inputs, "attention_mask": torch.ones(1, 2 * past, dtype=torch.long)}
        kept = run.report.kept[4][0]
        model(**again, past_key_values=first.past_key_values)
        later = run.report
    assert kept.max() < past <= later.kept[4][0].min()
    keys = [layer.keys for layer in first.past_key_values.layers]
    assert later.kv_bytes.dropped == sum(2 * key.nbytes for key in keys)
    assert later.kv_bytes.dense == 6 * 2 * keys[0].nbytes
