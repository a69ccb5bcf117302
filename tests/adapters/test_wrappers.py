"""Wrapped models drop as the bare one does, for every architecture: PEFT, torch.compile, data parallel, saved and loaded."""

from __future__ import annotations

import copy
import gc
import weakref

import peft
import pytest
import torch
import torch.distributed as dist
from support.subjects import SUBJECTS
from torch.nn.parallel import DistributedDataParallel

import v2drop

GREEDY = {"max_new_tokens": 4, "do_sample": False}


def adapted(model, folder):
    """A LoRA that adds nothing yet."""
    return peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(target_modules=["q_proj", "v_proj"])).eval()


def compiled(model, folder):
    return torch.compile(copy.deepcopy(model), backend="eager")


def compiled_inside(model, folder):
    outer = copy.deepcopy(model)
    outer.model = torch.compile(outer.model, backend="eager")
    return outer


def mixed(model, folder):
    return peft.PeftMixedModel(copy.deepcopy(model), peft.LoraConfig(target_modules=["q_proj", "v_proj"])).eval()


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
        (mixed, "PEFT's mixed models"),
        (compiled, "torch.compile"),
        (compiled_inside, "torch.compile of the model inside"),
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


@torch.no_grad()
def test_prompts_that_were_learnt_are_text(subject):
    """They stand in front of the prompt, whose vision tokens are found behind them."""
    model, inputs = copy.deepcopy(subject.model()), subject.ending_in_text(1, 2)
    with v2drop.attach(model, subject.halves) as run:
        model(**inputs)
        vision = run.report.vision_tokens
    prompted = peft.get_peft_model(model, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)).eval()
    with v2drop.attach(prompted, subject.halves) as run:
        logits = prompted(**inputs).logits
    assert run.report.vision_tokens == vision
    assert run.report.retained < 1
    assert logits.shape[1] == inputs["input_ids"].shape[1] + 2


@pytest.fixture
def one_process(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@torch.no_grad()
@pytest.mark.feature("Wrapped models", "DistributedDataParallel")
def test_a_data_parallel_model_is_attached_to_by_what_it_wraps(subject, one_process):
    model, inputs = copy.deepcopy(subject.model()), subject.batch(1, 2)
    with v2drop.attach(subject.model(), subject.halves):
        wanted = subject.model()(**inputs).logits
    wrapped = DistributedDataParallel(model)
    with v2drop.attach(wrapped, subject.halves) as run:
        torch.testing.assert_close(wrapped(**inputs).logits, wanted)
        assert run.report.retained < 1


@pytest.mark.feature("Wrapped models", "nn.DataParallel on several devices")
def test_replicas_are_refused(subject, record_property):
    """They would run the first device's weights."""
    inner = subject.adapter().inner_model(subject.model())
    with v2drop.attach(inner, subject.halves):
        replica = inner._replicate_for_data_parallel()
        with pytest.raises(v2drop.UsageError, match="use DistributedDataParallel") as told:
            type(inner).__call__(replica, **subject.batch(1))
    record_property("refused", str(told.value).replace(type(inner).__name__, "model"))


@torch.no_grad()
def test_an_attachment_that_is_kept_keeps_no_model(subject):
    model = copy.deepcopy(subject.model())
    with v2drop.attach(model, subject.halves) as run:
        model(**subject.batch(1))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert run.report.retained < 1
