"""The published Qwen2-VL code's outputs are reproduced: kept sets, scores, logits and greedy tokens."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling

import v2drop

GOLDEN = Path(__file__).parent.parent / "golden" / "qwen2vl"
SCHEDULE = v2drop.Schedule.preset("reference-qwen2-vl")
FIRST, TOKENS = 15, 400


class RecordedFeatures(torch.nn.Module):
    """In place of the vision tower, of which the golden data holds the output alone."""

    spatial_merge_size, dtype = 2, torch.float32

    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, pixels, grid_thw, **_):
        return BaseModelOutputWithPooling(pooler_output=self.features)


@pytest.fixture(scope="module")
def case():
    return load_file(GOLDEN / "case0.safetensors")


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request, case):
    config = Qwen2VLConfig(**json.loads((GOLDEN / "config.json").read_text()))
    model = Qwen2VLForConditionalGeneration(config)
    weights = {name: tensor.float() for name, tensor in load_file(GOLDEN / "model.safetensors").items()}
    model.lm_head.load_state_dict({"weight": weights.pop("lm_head.weight")})
    model.model.language_model.load_state_dict({name.removeprefix("model."): t for name, t in weights.items()})
    model.set_attn_implementation(request.param)
    model.model.visual = RecordedFeatures(case["image_embeds"])
    return model.float().eval()


@pytest.fixture(scope="module")
def inputs(case):
    ids = case["input_ids"][None]
    given = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.zeros(4 * TOKENS, 1),
        "image_grid_thw": torch.tensor([[1, 40, 40]]),
    }
    if "mm_token_type_ids" in inspect.signature(Qwen2VLForConditionalGeneration.forward).parameters:
        given["mm_token_type_ids"] = (ids == 120).int()
    return given


@torch.no_grad()
def test_kept_sets_and_last_logits(model, case, inputs):
    with v2drop.attach(model, SCHEDULE) as run:
        output = model(**inputs, logits_to_keep=1)
    for stage in SCHEDULE.stages:
        everything = case[f"drop.keep.{stage.layer}"]
        pictures = everything[(everything >= FIRST) & (everything < FIRST + TOKENS)]
        assert run.report.kept[stage.layer][0].tolist() == pictures.tolist()
    torch.testing.assert_close(output.logits[0, -1], case["drop.last_logits"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_scores(model, case, inputs):
    """The published scores are the norms of the inputs' differences, for the tokens present before the first cut."""
    seen = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        for layer in model.model.language_model.layers
    ]
    model(**inputs, logits_to_keep=1)
    for hook in hooks:
        hook.remove()
    vision = slice(FIRST, FIRST + TOKENS)
    scores = v2drop.token_variation(seen[3][:, vision], seen[2][:, vision])
    torch.testing.assert_close(scores[0], case["drop.scores.3"], atol=1e-4, rtol=1e-4)


def test_sixteen_greedy_tokens(model, case, inputs):
    with v2drop.attach(model, SCHEDULE):
        output = model.generate(
            **inputs, max_new_tokens=16, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
    assert output.sequences[0, -16:].tolist() == case["gen.tokens"].tolist()
    torch.testing.assert_close(torch.cat(output.logits), case["gen.logits"], atol=1e-4, rtol=0)
    lengths = [layer.keys.shape[2] for layer in output.past_key_values.layers]
    assert lengths == case["gen.kv_len"][-1].tolist()
