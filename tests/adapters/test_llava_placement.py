"""Where weights lie and in what form they are kept makes no difference: offloading, mixed types, pipelines."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from PIL import Image
from tiny_llava import batch, tiny_llava
from transformers import pipeline

import v2drop
import v2drop_zoo

HALVES = v2drop.Schedule([(1, 0.5), (3, 0.5), (5, 0)])
GREEDY = {"max_new_tokens": 5, "do_sample": False}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bare():
    """A model, inputs, and what it answers and keeps with everything in its place."""
    model, inputs = tiny_llava(), batch(torch.Generator().manual_seed(0), (1, 0, 2))
    with v2drop.attach(model, HALVES) as run:
        return model, inputs, model.generate(**inputs, **GREEDY), run.report.to_dict()["kept"]


@pytest.mark.parametrize("first", ["offload", "attach"])
@pytest.mark.parametrize("to", ["cpu", "disk"])
def test_accelerate_may_offload_weights_before_or_after_attaching(bare, first, to, tmp_path):
    model, inputs, wanted, kept = copy.deepcopy(bare[0]), *bare[1:]

    def offload():
        if to == "cpu":
            cpu_offload(model, execution_device=CPU)
        else:
            disk_offload(model, str(tmp_path), execution_device=CPU)

    if first == "offload":
        offload()
    with v2drop.attach(model, HALVES) as run:
        if first == "attach":
            offload()
        assert torch.equal(model.generate(**inputs, **GREEDY), wanted)
        assert run.report.to_dict()["kept"] == kept


@torch.no_grad()
def test_a_language_model_of_another_type_than_the_tower(bare):
    mixed = copy.deepcopy(bare[0])
    mixed.model.language_model.to(torch.bfloat16)
    mixed.lm_head.to(torch.bfloat16)
    with v2drop.attach(mixed, HALVES) as run:
        logits = mixed(**bare[1]).logits
    assert logits.dtype == torch.bfloat16
    assert logits[bare[1]["attention_mask"].bool()].isfinite().all()
    assert run.report.retained < 0.5


def test_a_pipeline_is_attached_to_by_its_model():
    folder = v2drop_zoo.CHECKPOINTS / "llava"
    example = json.loads((folder / "v2drop.json").read_text())
    answer = pipeline("image-text-to-text", model=str(folder))
    content = [
        {"type": "image", "image": Image.open(folder / example["image"])},
        {"type": "text", "text": example["prompt"]},
    ]
    with v2drop.attach(answer.model, v2drop.Schedule.from_dict(example["schedule"])) as run:
        said = answer(text=[{"role": "user", "content": content}], max_new_tokens=4, return_full_text=False)
    assert said[0]["generated_text"].strip() == example["answer"]
    assert run.report.retained < 0.34
