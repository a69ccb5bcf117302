"""The conformance kit notices adapters that are wrong: for each mistake, the promise that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from qwen_samples import qwen_sample
from tiny_qwen2_vl import IMAGE, VIDEO, tiny_config
from transformers import Qwen2VLForConditionalGeneration

import v2drop
from v2drop.conformance import AdapterConformance
from v2drop_qwen2_vl import Qwen2VLAdapter


class Kit(AdapterConformance):
    adapter = Qwen2VLAdapter
    placeholders = (IMAGE, VIDEO)
    media_in_later_generate = False
    cases = 30

    def build_model(self):
        return Qwen2VLForConditionalGeneration(tiny_config())

    def make_sample(self, generator, media):
        return qwen_sample(self, generator, media)


class ForgetsVideos(Qwen2VLAdapter):
    placeholders = ("image_token_id",)


class MarksOneTokenTooMany(Qwen2VLAdapter):
    def vision_mask(self, model, inputs):
        mask = super().vision_mask(model, inputs)
        return mask | mask.roll(1, dims=1)


class LeavesRotaryPositionsAlone(Qwen2VLAdapter):
    """As if what was left had moved together: the mistake of whoever shortens cos and sin instead of gathering them."""

    def gather_rotary(self, layer_kwargs, index):
        pair = layer_kwargs["position_embeddings"]
        return {"position_embeddings": tuple(part[..., : index.shape[1], :] for part in pair)}


class TakesOneSamplesRotaryPositionsForAll(Qwen2VLAdapter):
    def gather_rotary(self, layer_kwargs, index):
        return super().gather_rotary(layer_kwargs, index[:1].expand_as(index))


class CountsHeadsWrong(Qwen2VLAdapter):
    def dimensions(self, model):
        return replace(super().dimensions(model), num_kv_heads=4)


class SwapsRowsAndColumns(Qwen2VLAdapter):
    def layout(self, model, inputs):
        layout = super().layout(model, inputs)
        return replace(layout, box=layout.box[:, [1, 0, 3, 2]])


class TakesAnyMaskForAPicture(Qwen2VLAdapter):
    media_inputs = ("mm_encoder_outputs",)


MISTAKES = [
    (ForgetsVideos, "test_truth_in_a_forward_pass"),
    (MarksOneTokenTooMany, "test_truth_in_a_forward_pass"),
    (LeavesRotaryPositionsAlone, "test_truth_in_a_forward_pass"),
    (LeavesRotaryPositionsAlone, "test_truth_in_generation"),
    (TakesOneSamplesRotaryPositionsForAll, "test_truth_in_beam_search"),
    (TakesOneSamplesRotaryPositionsForAll, "test_a_batch_gives_what_single_runs_give"),
    (CountsHeadsWrong, "test_the_cache_holds_what_the_schedule_predicts"),
    (SwapsRowsAndColumns, "test_layout_covers_each_vision_token_once"),
    (TakesAnyMaskForAPicture, "test_mistakes_are_named"),
    (ForgetsVideos, "test_the_adapter_is_found_by_model_type"),
]


@pytest.mark.parametrize(("mistaken", "promise"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_a_mistake_breaks_its_promise(mistaken, promise):
    getattr(Kit(), promise)()
    broken = type("Broken", (Kit,), {"adapter": mistaken})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(broken, promise)()


def test_the_truth_test_holds_where_no_adapter_is_used():
    """The masking side alone: masking nothing is the stock model."""
    from v2drop.conformance import MaskingTruth

    kit = Kit()
    model, inputs = kit.model(), kit.batch(1, 2)
    with torch.no_grad():
        stock = model(**inputs).logits[kit.is_text(inputs)]
        with MaskingTruth(model, v2drop.Schedule([(1, 1.0)]), kit.adapter(), kit.placeholders) as truth:
            masked = model(**inputs).logits[kit.is_text(inputs)]
    torch.testing.assert_close(masked, stock, atol=1e-5, rtol=1e-5)
    assert [len(row) for row in truth.kept[1]] == kit.is_vision(inputs).sum(1).tolist()
