"""What attach refuses, before anything is changed, and how adapters are found."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from support.tiny_llava import tiny_llava
from transformers import LlamaConfig, LlamaForCausalLM

import v2drop
from v2drop_llava import LlavaAdapter

SCHEDULE = v2drop.Schedule([(1, 0.5)])


@pytest.fixture(scope="module")
def model():
    return tiny_llava()


@pytest.mark.parametrize(
    ("arguments", "error", "quoted"),
    [
        ({}, v2drop.ScheduleError, "pass one of the two"),
        ({"schedule": SCHEDULE, "retained": 0.3}, v2drop.ScheduleError, r"retained=0\.3"),
        ({"schedule": "llava-1.5-192"}, v2drop.ScheduleError, "llava-1.5-192"),
        ({"schedule": v2drop.Schedule([(6, 0.5)])}, v2drop.ScheduleError, "layer 6.*6 decoder layers"),
        ({"retained": 0.01}, v2drop.ScheduleError, r"0\.01.*at least"),
        ({"retained": 2}, v2drop.ScheduleError, "retained=2"),
        ({"schedule": SCHEDULE, "metric": "l3"}, v2drop.MetricError, "l3.*l2"),
        ({"schedule": SCHEDULE, "metric": ["l2"]}, v2drop.MetricError, "l2"),
        ({"schedule": SCHEDULE, "adapter": "llava"}, v2drop.UnsupportedModelError, "adapter='llava'"),
        ({"schedule": SCHEDULE, "adapter": LlavaAdapter}, v2drop.UnsupportedModelError, "an instance"),
        ({"schedule": SCHEDULE, "method": "magic"}, v2drop.MethodError, "magic.*v2drop"),
    ],
)
def test_bad_arguments_change_nothing(model, arguments, error, quoted):
    with pytest.raises(error, match=quoted):
        v2drop.attach(model, **arguments)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_unknown_architectures_are_refused_with_the_known_ones():
    llama = LlamaForCausalLM(
        LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, vocab_size=8)
    )
    with pytest.raises(v2drop.UnsupportedModelError, match=r"'llama'.*llava.*v2drop docs adding-an-architecture"):
        v2drop.attach(llama, SCHEDULE)


@pytest.mark.parametrize("thing", [42, None, torch.nn.Linear(2, 2), "llava-hf/llava-1.5-7b-hf"])
def test_what_is_no_model_is_refused(thing):
    with pytest.raises(v2drop.UnsupportedModelError, match="not a transformers model"):
        v2drop.attach(thing, SCHEDULE)


def test_retained_keeps_the_budget(model):
    with v2drop.attach(model, retained=0.5) as run:
        assert run.schedule.retained(6) == pytest.approx(0.5)


def test_wrapped_models_are_recognised(model):
    compiled = torch.compile(model)
    assert type(v2drop.get_adapter(compiled)).__name__ == "LlavaAdapter"


def test_adapters_are_found_by_entry_point():
    assert v2drop.registered_adapters()["llava"].value == "v2drop_llava:LlavaAdapter"


@pytest.mark.parametrize("module", ["transformers", "pytest", "typer", "rich", "PIL"])
def test_importing_v2drop_loads_torch_alone(module):
    script = f"import v2drop, sys; assert 'torch' in sys.modules; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_error_is_a_v2drop_error():
    errors = [thing for name, thing in vars(v2drop).items() if name.endswith("Error")]
    assert len(errors) >= 8
    assert all(issubclass(error, v2drop.V2DropError) for error in errors)
