"""A language model whose layers lie on two devices: what is remembered of positions follows each layer to its device."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from accelerate import dispatch_model
from accelerate.utils import set_module_tensor_to_device
from support.pretend_devices import PretendDevices, where_there_are_devices
from support.subjects import SUBJECTS

import v2drop
from v2drop.conformance.cases import Case, generate

WAYS = {
    "growing cache": {},
    "static cache": {"cache_implementation": "static"},
    "prompt lookup": {"prompt_lookup_num_tokens": 2},
}


def split(model, adapter, first):
    """A copy whose layers from `first` on, norm and head are on the second device, all else on the first."""
    model = copy.deepcopy(model)
    vars(model).pop("_cache", None)  # transformers 5.0 keeps the last static cache, whose tensors lie on the CPU
    layers = adapter.decoder_layers(model)
    late = {*layers[first:], adapter.inner_model(model).language_model.norm, model.lm_head}
    places = {}
    for name, part in [*model.named_modules(), *model.named_parameters()]:
        if any(name.startswith(f"{placed}.") for placed in places):
            continue
        if part in late:
            places[name] = "pretend:1"
        elif isinstance(part, torch.nn.Parameter):
            places[name] = "pretend:0"
            set_module_tensor_to_device(model, name, "pretend:0")  # dispatch_model sees to modules alone
        elif not late.intersection(part.modules()):
            places[name] = "pretend:0"
    dispatch_model(model, places, main_device="pretend:0")
    assert [layer.self_attn.q_proj.weight.device.index for layer in (layers[0], layers[-1])] == [0, 1]
    return model


@torch.no_grad()
def run_on_two_devices(number, attention, way):
    subject = SUBJECTS[number]
    media, later = ((2,), None) if way == "prompt lookup" else ((1, 0, 2), None)
    if way == "growing cache":
        later = int(subject.media_in_later_generate)
    # on the second device little is dropped in the first turn, and nothing in the second
    stages = [(subject.first_stage, 0.5), (subject.depth // 2 + 1, 0.5), (subject.depth - 1, 0)]
    case = Case.of(
        subject.make_sample,
        0,
        media,
        later,
        "left",
        schedule=v2drop.Schedule(stages, min_tokens=8),
        attention=attention,
    )
    model = subject.model(attention)
    with v2drop.attach(model, case.schedule) as run:
        wanted, report = generate(model, case, **WAYS[way]), run.report.to_dict()
    with PretendDevices():
        with pytest.raises(RuntimeError, match="tensors on cpu, pretend:1"):
            torch.ones(2, device="pretend:1") + torch.ones(2)
        model, case = split(model, subject.adapter(), subject.depth // 2), on_first_device(case)
        with v2drop.attach(model, case.schedule) as run:
            found = [step.cpu() for step in generate(model, case, **WAYS[way])]
        assert run.report.to_dict() == report
    for step, (one, other) in enumerate(zip(found, wanted, strict=True)):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4, msg=f"step {step}: {{}}".format)


def on_first_device(case):
    turns = {"inputs": case.inputs, "later": case.later}
    moved = {
        turn: inputs and {name: tensor.to("pretend:0") for name, tensor in inputs.items()}
        for turn, inputs in turns.items()
    }
    return replace(case, **moved)


@pytest.mark.feature("Placement", "layers on two devices")
@pytest.mark.parametrize(("attention", "way"), [*[("sdpa", way) for way in WAYS], ("eager", "growing cache")])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_layers_may_lie_on_two_devices(subject, attention, way):
    where_there_are_devices(run_on_two_devices, SUBJECTS.index(subject), attention, way)
