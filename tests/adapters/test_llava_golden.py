"""The published code's outputs are reproduced: kept sets, scores, logits and greedy tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

import v2drop

GOLDEN = Path(__file__).parent.parent / "golden" / "llava"
SCHEDULE = v2drop.Schedule.preset("reference-llava")


@pytest.fixture(scope="module")
def case():
    return load_file(GOLDEN / "case0.safetensors")


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    """A stock LLaVA around the golden language model; its vision tower takes no part."""
    text = LlamaConfig(**json.loads((GOLDEN / "config.json").read_text()))
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
    )
    model = LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_id=127))
    weights = {name: tensor.float() for name, tensor in load_file(GOLDEN / "model.safetensors").items()}
    model.lm_head.load_state_dict({"weight": weights.pop("lm_head.weight")})
    model.model.language_model.load_state_dict({name.removeprefix("model."): t for name, t in weights.items()})
    model.set_attn_implementation(request.param)
    return model.float().eval()


@pytest.fixture(scope="module")
def vision_mask():
    mask = torch.zeros(1, 631, dtype=torch.bool)
    mask[:, 35:611] = True
    return mask


def test_kept_sets_and_last_logits(model, case, vision_mask):
    with v2drop.attach(model, SCHEDULE) as run, torch.no_grad():
        run.vision_mask = vision_mask
        output = model(inputs_embeds=case["inputs_embeds"], logits_to_keep=1)
    for stage in SCHEDULE.stages:
        everything = case[f"drop.keep.{stage.layer}"]
        pictures = everything[(everything >= 35) & (everything < 611)]
        assert run.report.kept[stage.layer][0].tolist() == pictures.tolist()
    torch.testing.assert_close(output.logits[0, -1], case["drop.last_logits"], atol=1e-4, rtol=0)
    assert run.report.retained == pytest.approx((3 * 576 + 14 * 288 + 5 * 144 + 2) / (24 * 576))


def test_scores(model, case):
    """The published scores are the norms of the inputs' differences, for the tokens present before each cut."""
    inputs = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
        for layer in model.model.language_model.layers
    ]
    with torch.no_grad():
        model(inputs_embeds=case["inputs_embeds"], logits_to_keep=1)
    for hook in hooks:
        hook.remove()
    scores = v2drop.token_variation(inputs[3][:, 35:611], inputs[2][:, 35:611])
    torch.testing.assert_close(scores[0], case["drop.scores.3"], atol=1e-4, rtol=1e-4)


def test_sixteen_greedy_tokens(model, case, vision_mask):
    with v2drop.attach(model, SCHEDULE) as run:
        run.vision_mask = vision_mask
        output = model.generate(
            inputs_embeds=case["inputs_embeds"],
            attention_mask=torch.ones(1, 631, dtype=torch.long),
            max_new_tokens=16,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
    assert output.sequences[0].tolist() == case["gen.tokens"].tolist()
    torch.testing.assert_close(torch.cat(output.logits), case["gen.logits"], atol=1e-4, rtol=0)
    lengths = [layer.keys.shape[2] for layer in output.past_key_values.layers]
    assert lengths == case["gen.kv_len"][-1].tolist()
