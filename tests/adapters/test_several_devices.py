"""A language model whose layers lie on two devices: what is remembered of positions follows each layer to its device."""

from __future__ import annotations

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from accelerate import dispatch_model
from subjects import SUBJECTS

import v2drop
from v2drop.conformance.cases import Case, generate

pretend_devices = pytest.importorskip("pretend_devices", reason="a torch that takes no backends written in Python")

WAYS = {
    "growing cache": {},
    "static cache": {"cache_implementation": "static"},
    "prompt lookup": {"prompt_lookup_num_tokens": 2},
}


def split(model, adapter):
    """A copy whose last layers, norm and head are on the second device, all else on the first."""
    model = copy.deepcopy(model)
    layers = adapter.decoder_layers(model)
    late = {*layers[len(layers) // 2 :], adapter.inner_model(model).language_model.norm, model.lm_head}
    places = {}
    for name, part in [*model.named_modules(), *model.named_parameters()]:
        if any(name.startswith(f"{placed}.") for placed in places):
            continue
        if part in late:
            places[name] = "pretend:1"
        elif isinstance(part, torch.nn.Parameter) or not late.intersection(part.modules()):
            places[name] = "pretend:0"
    dispatch_model(model, places, main_device="pretend:0")
    assert [layer.self_attn.q_proj.weight.device.index for layer in (layers[0], layers[-1])] == [0, 1]
    return model


@torch.no_grad()
def run_on_two_devices(number, attention, way):
    """Run in a process of its own: a registered backend stays."""
    library, subject = pretend_devices.register(), SUBJECTS[number]
    media = (2,) if way == "prompt lookup" else (1, 0, 2)
    case = Case.of(subject.make_sample, 0, media, 0, "left", schedule=subject.halves, attention=attention)
    model = subject.model(attention)
    told = []
    with pretend_devices.PretendDevices():
        with pytest.raises(RuntimeError, match="tensors on cpu, pretend:1"):
            torch.ones(2, device="pretend:1") + torch.ones(2)
        for each in (model, split(model, subject.adapter())):
            with v2drop.attach(each, case.schedule) as run:
                told.append((generate(each, case, **WAYS[way]), run.report.to_dict()))
    del library
    (wanted, report), (found, report_of_split) = told
    assert report_of_split == report
    for step, (one, other) in enumerate(zip(found, wanted, strict=True)):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4, msg=f"step {step}: {{}}".format)


@pytest.mark.feature("Placement", "layers on two devices")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_layers_may_lie_on_two_devices(subject, attention, way):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as apart:
        apart.submit(run_on_two_devices, SUBJECTS.index(subject), attention, way).result()
