"""Quantized weights and quantized caches: rounding is the stock model's own, and what stays is chosen as on any model."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from support.subjects import SUBJECTS
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig, DynamicCache

import v2drop
from v2drop.conformance.cases import Case, generate
from v2drop.conformance.comparison import equals_masking

GREEDY = {"max_new_tokens": 4, "do_sample": False}


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def subject(request):
    return request.param


def quantized(subject, config):
    model = copy.deepcopy(subject.model())
    quantize_(subject.adapter().inner_model(model).language_model, config)
    return model


@torch.no_grad()
def assert_dropping_equals_masking(subject, model):
    inputs = subject.ending_in_text(1, 0, 2)
    text = subject.is_text(inputs)
    with v2drop.attach(model, subject.halves) as run:
        dropped = model(**inputs).logits[text]
    with v2drop.conformance.MaskingTruth(model, subject.halves, subject.adapter(), subject.placeholders) as truth:
        masked = model(**inputs).logits[text]
    kept = {layer: [row.tolist() for row in rows] for layer, rows in run.report.kept.items()}
    assert kept == {layer: [row.tolist() for row in rows] for layer, rows in truth.kept.items()}
    torch.testing.assert_close(dropped, masked, atol=1e-4, rtol=1e-4)


@pytest.mark.feature("Quantization", "int8 weights (torchao)")
def test_dropping_equals_masking_with_int8_weights(subject):
    assert_dropping_equals_masking(subject, quantized(subject, Int8WeightOnlyConfig()))


@pytest.mark.feature("Quantization", "int8 weights (bitsandbytes)")
def test_dropping_equals_masking_with_bitsandbytes(subject, tmp_path):
    """8 bits; its 4-bit kernel for CPUs wants layers wider than these."""
    subject.model().save_pretrained(tmp_path)
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path, quantization_config=config, device_map="cpu").eval()
    assert subject.adapter().decoder_layers(model)[0].self_attn.q_proj.weight.dtype == torch.int8
    assert_dropping_equals_masking(subject, model)


@torch.no_grad()
@pytest.mark.feature("Quantization", "int8 weights and activations (torchao)")
def test_int8_activations_choose_the_same_tokens(subject):
    """Activations that differ by 1e-7 may be rounded another way, so logits differ, by less than rounding changes them."""
    model, inputs = quantized(subject, Int8DynamicActivationInt8WeightConfig()), subject.ending_in_text(1, 0, 2)
    text = subject.is_text(inputs)
    with v2drop.attach(model, subject.halves) as run:
        assert model.generate(**inputs, **GREEDY).shape[1] == inputs["input_ids"].shape[1] + 4
        dropped = model(**inputs).logits[text]
    with v2drop.conformance.MaskingTruth(model, subject.halves, subject.adapter(), subject.placeholders) as truth:
        masked = model(**inputs).logits[text]
    with v2drop.attach(subject.model(), subject.halves):
        rounding = (subject.model()(**inputs).logits[text] - dropped).abs().max()
    assert (dropped - masked).abs().max() < rounding
    kept = {layer: [row.tolist() for row in rows] for layer, rows in run.report.kept.items()}
    assert kept == {layer: [row.tolist() for row in rows] for layer, rows in truth.kept.items()}


@pytest.mark.parametrize(
    "beams",
    [
        pytest.param(1, marks=pytest.mark.feature("Caches", "truth with keys of 4 bits (quanto)")),
        pytest.param(3, marks=pytest.mark.feature("Caches", "truth with keys of 4 bits (quanto), in beam search")),
    ],
)
@pytest.mark.parametrize("residual_length", [3, 128])
def test_dropping_equals_masking_with_a_quantized_cache(subject, residual_length, beams):
    """Where each key is a group of its own, for what is dropped then changes no other key's rounding."""
    subject.skip_unless_stock(not (beams > 1 and subject.is_transformers_5_0), "cannot reorder a quantized cache")
    alone = subject.adapter().dimensions(subject.model()).head_dim
    rounding = {"backend": "quanto", "nbits": 4, "q_group_size": alone, "residual_length": residual_length}
    options = {"cache_implementation": "quantized", "cache_config": rounding, "num_beams": beams}
    case = Case.of(subject.make_sample, 0, (1, 0, 1), None, "left", schedule=subject.halves)
    assert equals_masking(subject, case, partial(generate, **options))
    exact = generate(subject.model(), case, num_beams=beams)
    quantized = generate(subject.model(), case, **options)
    assert not torch.allclose(quantized[2], exact[2], atol=1e-2), "nothing was rounded"


@torch.no_grad()
@pytest.mark.feature("Caches", "quantized to 4 bits (quanto)")
def test_a_step_over_a_quantized_cache_is_one_over_its_dequantized_keys(subject):
    # one sample without a mask: behind a filled cache, stock Qwen2-VL does not cut a mask's positions to the step
    model, inputs = subject.model(), subject.ending_in_text(2)
    inputs.pop("attention_mask")
    options = {
        "cache_implementation": "quantized",
        "cache_config": {"backend": "quanto", "nbits": 4, "q_group_size": 16},
    }
    with v2drop.attach(model, subject.halves) as run:
        plain = model(**inputs, use_cache=True).past_key_values
        kept = run.report.to_dict()
        packed = model.generate(**inputs, **options, max_new_tokens=1, return_dict_in_generate=True, do_sample=False)
        assert run.report.to_dict() == kept
        cache, unpacked = packed.past_key_values, DynamicCache()
        assert [layer.get_seq_length() for layer in cache.layers] == [layer.keys.shape[2] for layer in plain.layers]
        for number, layer in enumerate(cache.layers):
            parts = (layer._dequantize(part) for part in (layer._quantized_keys, layer._quantized_values))
            unpacked.update(*parts, number)
        unpacked._v2drop_cache_record = cache._v2drop_cache_record
        for turn in (torch.tensor([[5]]), torch.tensor([[6, 7, 8]]), torch.tensor([[9]])):
            found = [model(turn, past_key_values=each).logits for each in (cache, unpacked)]
            torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
