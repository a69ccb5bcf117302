"""Dropping a token at layer L equals masking it as a key from layer L on: random cases on stock LLaVA."""

from __future__ import annotations

import random

import pytest
import torch
from tiny_llava import IMAGE, batch, tiny_llava
from transformers import GenerationMixin
from truth import MaskingTruth

import v2drop

CASES = 240
SCHEDULE_LAYERS = 6
MODELS = {attention: tiny_llava(attention=attention) for attention in ("sdpa", "eager")}
skipped_for_close_scores = []


def random_case(seed):
    """Everything of one case, drawn from its seed."""
    rng = random.Random(seed)
    samples = rng.choice([1, 1, 2, 3, 4])
    pictures = [rng.choice([0, 1, 1, 2, 3]) for _ in range(samples)]
    layers = sorted(rng.sample(range(1, SCHEDULE_LAYERS), rng.choice([1, 2, 3])))
    stages = [(layer, rng.choice([0, 0.1, 0.25, 0.3, 0.5, 0.5, 0.75, 0.95, 1])) for layer in layers]
    case = {
        "seed": seed,
        "attention": rng.choice(["sdpa", "sdpa", "eager"]),
        "pictures": pictures,
        "padding_side": rng.choice(["left", "right"]),
        "ends_in_picture": rng.random() < 0.15,
        "masked": samples > 1 or rng.random() < 0.7,
        "schedule": v2drop.Schedule(stages, min_tokens=rng.choice([0, 0, 1, 3])),
        "mode": rng.choice(
            ["forward", "forward uncached", "greedy", "greedy uncached", "sample", "beam", "turns", "picture turn"]
        ),
    }
    if case["mode"] == "beam" and not hasattr(GenerationMixin, "_expand_multimodal_outputs"):
        # transformers 5.0 hands the beams of a sample with several pictures different pictures, and then swaps them
        case["pictures"] = [min(count, 1) for count in pictures]
    return case


def run(model, case, context):
    """Do what the case's mode says; returns the logits of each step's text positions."""
    generator = torch.Generator().manual_seed(case["seed"])
    side = case["padding_side"] if case["mode"].startswith("forward") else "left"  # generate() wants left padding
    inputs = batch(generator, case["pictures"], side, case["ends_in_picture"])
    if not case["masked"]:
        del inputs["attention_mask"]
    torch.manual_seed(case["seed"])
    with context as active, torch.no_grad():
        if case["mode"].startswith("forward"):
            output = model(**inputs, use_cache="uncached" not in case["mode"])
            text = (inputs["input_ids"] != IMAGE) & (inputs["input_ids"] != 0)
            return active, [output.logits[text]]
        options = {"max_new_tokens": 5, "return_dict_in_generate": True, "output_logits": True, "do_sample": False}
        options |= {
            "sample": {"do_sample": True, "num_return_sequences": 2},
            "beam": {"num_beams": 3, "num_return_sequences": 2},
            "greedy uncached": {"use_cache": False},
        }.get(case["mode"], {})
        output = model.generate(**inputs, **options)
        steps = [output.sequences.float(), *output.logits]
        if "turn" in case["mode"]:
            pictures = [1 if case["mode"] == "picture turn" else 0] * len(case["pictures"])
            later = batch(generator, pictures)
            mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
            answered = torch.ones_like(output.sequences[:, mask.shape[1] :])
            later["input_ids"] = torch.cat([output.sequences, later["input_ids"]], dim=1)
            later["attention_mask"] = torch.cat([mask, answered, later["attention_mask"]], dim=1)
            second = model.generate(**later, **options, past_key_values=output.past_key_values)
            steps += [second.sequences.float(), *second.logits]
        return active, steps


@pytest.mark.parametrize("seed", range(CASES))
def test_dropping_equals_masking(seed):
    case = random_case(seed)
    model = MODELS[case["attention"]]
    attached, dropped = run(model, case, v2drop.attach(model, case["schedule"]))
    truth, masked = run(model, case, MaskingTruth(model, case["schedule"]))
    if truth.closest < 1e-4:
        skipped_for_close_scores.append(seed)
        return
    if truth.kept:
        assert attached.report.kept.keys() == truth.kept.keys()
        for layer, samples in truth.kept.items():
            for ours, theirs in zip(attached.report.kept[layer], samples, strict=True):
                assert ours.tolist() == theirs.tolist(), f"kept at layer {layer} of {case}"
    else:
        assert attached.report is None
    for step, (ours, theirs) in enumerate(zip(dropped, masked, strict=True)):
        torch.testing.assert_close(
            ours, theirs, atol=1e-4, rtol=1e-4, msg=lambda text, step=step: f"step {step} of {case}: {text}"
        )


def test_few_cases_were_skipped_for_close_scores():
    assert len(skipped_for_close_scores) <= CASES // 20, skipped_for_close_scores
