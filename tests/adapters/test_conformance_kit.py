"""The conformance kit notices adapters that are wrong: for each mistake, the promise that says so."""

from __future__ import annotations

import copy
from dataclasses import replace
from unittest import SkipTest

import pytest
import torch
from support.qwen_samples import qwen_sample
from support.tiny_qwen2_vl import IMAGE, VIDEO, tiny_config
from transformers import Qwen2VLForConditionalGeneration

import v2drop
from v2drop.conformance import AdapterConformance
from v2drop_qwen2_vl import Qwen2VLAdapter


class Kit(AdapterConformance):
    adapter = Qwen2VLAdapter
    placeholders = (IMAGE, VIDEO)
    media_in_later_generate = False
    cases = 60

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
        pair, right = layer_kwargs["position_embeddings"], super().gather_rotary(layer_kwargs, index)
        return right | {"position_embeddings": tuple(part[..., : index.shape[1], :] for part in pair)}


class TakesOneSamplesRotaryPositionsForAll(Qwen2VLAdapter):
    def gather_rotary(self, layer_kwargs, index):
        return super().gather_rotary(layer_kwargs, index[:1].expand_as(index))


class CountsHeadsWrong(Qwen2VLAdapter):
    def dimensions(self, model):
        return replace(super().dimensions(model), num_kv_heads=4)


class ForgetsVideosAmongInputs(Qwen2VLAdapter):
    media_inputs = ("pixel_values", "mm_encoder_outputs")


def mislaid(**changes):
    """An adapter whose layout is right but for some fields, each worked out from the right layout."""

    class Mislays(Qwen2VLAdapter):
        def layout(self, model, inputs):
            layout = super().layout(model, inputs)
            return replace(layout, **{name: change(layout) for name, change in changes.items()})

    return type(f"Mislays_{'_'.join(changes)}", (Mislays,), {})


BOXES = "test_layout_puts_rows_and_columns_where_the_boxes_are"
MISTAKES = [
    (ForgetsVideos, "test_truth_in_a_forward_pass"),
    (MarksOneTokenTooMany, "test_truth_in_a_forward_pass"),
    (LeavesRotaryPositionsAlone, "test_truth_in_a_forward_pass"),
    (LeavesRotaryPositionsAlone, "test_truth_in_generation"),
    (TakesOneSamplesRotaryPositionsForAll, "test_truth_in_beam_search"),
    (TakesOneSamplesRotaryPositionsForAll, "test_a_batch_gives_what_single_runs_give"),
    (CountsHeadsWrong, "test_the_cache_holds_what_the_schedule_predicts"),
    (ForgetsVideosAmongInputs, "test_media_without_placeholders_are_an_error"),
    (mislaid(position=lambda right: right.position + 1), "test_layout_covers_each_vision_token_once"),
    (mislaid(row=lambda right: right.row * 0), "test_layout_covers_each_vision_token_once"),
    (mislaid(box=lambda right: right.box[:, [1, 0, 3, 2]]), BOXES),
    (mislaid(box=lambda right: right.box * 0), BOXES),
    (mislaid(box=lambda right: right.box / 2), BOXES),
    (mislaid(row=lambda right: right.column, column=lambda right: right.row), BOXES),
    (mislaid(grid=lambda right: right.grid.flip(1)), BOXES),
    (mislaid(newline=lambda right: right.column == 0), BOXES),
    (mislaid(is_video=lambda right: right.is_video & False), "test_layout_tells_videos_from_pictures"),
    (ForgetsVideos, "test_the_adapter_is_found_by_model_type"),
]


@pytest.mark.parametrize(("mistaken", "promise"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_a_mistake_breaks_its_promise(mistaken, promise):
    getattr(Kit(), promise)()
    broken = type("Broken", (Kit,), {"adapter": mistaken})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(broken, promise)()


def test_a_model_that_is_not_plainly_causal_is_told_apart():
    """As in Gemma3, vision tokens see each other whatever their order: the kit's first promise says why it cannot judge."""

    class SeesAhead(Kit):
        def model(self, *arguments, **options):
            model = copy.deepcopy(super().model(*arguments, **options))
            for layer in model.model.language_model.layers:
                layer.register_forward_pre_hook(self._see_everything, with_kwargs=True, prepend=True)
            return model

        @staticmethod
        def _see_everything(module, args, kwargs):
            if kwargs.get("attention_mask") is None or kwargs["attention_mask"].ndim != 4:
                return args, kwargs
            return args, {**kwargs, "attention_mask": torch.ones_like(kwargs["attention_mask"])}

    with pytest.raises(AssertionError, match="not plainly causal"):
        SeesAhead().test_truth_of_the_masking_side()


def test_models_that_add_to_vision_tokens_late_say_where_dropping_may_start():
    class StartsLater(Qwen2VLAdapter):
        def first_stage(self, model):
            return 3

    late = type("Late", (Kit,), {"adapter": StartsLater})()
    assert late.halves.stages[0].layer == 3
    late.test_truth_in_a_forward_pass()
    late.test_mistakes_in_attaching_are_named()
    with pytest.raises(v2drop.ScheduleError, match="nothing may be dropped before layer 3"):
        v2drop.attach(late.model(), v2drop.Schedule([(2, 0.5)]), adapter=StartsLater())


def test_promises_that_the_stock_model_breaks_are_skipped():
    with pytest.raises(SkipTest, match="the stock model itself answers differently"):
        Kit().skip_unless_stock(False, "answers differently")
