"""Wrapped models drop as the bare one does, for every architecture: PEFT, torch.compile, deep copies, saved and loaded."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
from subjects import SUBJECTS

import v2drop

GREEDY = {"max_new_tokens": 4, "do_sample": False}


def adapted(model, folder):
    """A LoRA that adds nothing yet."""
    return peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(target_modules=["q_proj", "v_proj"])).eval()


def compiled(model, folder):
    return torch.compile(copy.deepcopy(model), backend="eager")


def adapted_and_compiled(model, folder):
    return torch.compile(adapted(model, folder), backend="eager")


def saved_and_loaded(model, folder):
    model.save_pretrained(folder)
    return type(model).from_pretrained(folder)


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def subject(request):
    return request.param


WRAPPERS = [
    pytest.param(wrap, marks=pytest.mark.feature("Wrapped models", name))
    for wrap, name in [
        (adapted, "PEFT"),
        (compiled, "torch.compile"),
        (adapted_and_compiled, "torch.compile of PEFT"),
        (saved_and_loaded, "saved and loaded"),
    ]
]


@torch.no_grad()
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_wrapped_model_drops_as_the_bare_one(subject, wrap, tmp_path):
    model, inputs = subject.model(), subject.ending_in_text(1, 0, 2)
    with v2drop.attach(model, subject.halves) as run:
        wanted, kept = model(**inputs).logits, run.report.to_dict()["kept"]
        tokens = model.generate(**inputs, **GREEDY)
    wrapped = wrap(model, tmp_path)
    with v2drop.attach(wrapped, subject.halves) as run:
        torch.testing.assert_close(wrapped(**inputs).logits, wanted, atol=1e-5, rtol=1e-5)
        assert run.report.to_dict()["kept"] == kept
        assert torch.equal(wrapped.generate(**inputs, **GREEDY), tokens)
