"""What people get wrong: each mistake is an error of ours that says what was wrong, and leaves the model as it was."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from support.tiny_llava import IMAGE, batch, tiny_llava
from support.tiny_qwen2_vl import tiny_config
from torch import nn
from transformers import DynamicCache, LlamaForCausalLM, Qwen2VLForConditionalGeneration
from transformers.cache_utils import DynamicLayer

import v2drop
from v2drop import ProgressiveDropper, Schedule, attach, token_variation
from v2drop_llava import LlavaAdapter
from v2drop_qwen2_vl import Qwen2VLAdapter

HALVES = Schedule([(1, 0.5), (3, 0.5), (5, 0)])
VISION = torch.tensor([[False, True, True, True, False]])


class Window(DynamicLayer):
    is_sliding = True


class Called:
    """An attached model, and the calls that are wrong."""

    def __init__(self, model):
        self.model, self.inputs = model, batch(torch.Generator().manual_seed(0), (2, 1))

    def __call__(self, run=None, mask=None, **changes):
        if run is not None:
            run.vision_mask = mask
        return self.model(**{**self.inputs, **changes})

    def cropped(self):
        cache = self().past_key_values
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[:, :, :4], layer.values[:, :, :4]
        self.model(torch.tensor([[5], [5]]), past_key_values=cache)

    def of_another_batch(self):
        cache = self().past_key_values
        self.model(torch.tensor([[5]]), past_key_values=cache)

    def sliding(self):
        cache = DynamicCache()
        cache.layers = [Window() for _ in range(6)]
        self(past_key_values=cache)

    def broken_layer(self):
        """A layer that is skipped, as by early exit."""
        layers = self.model.model.language_model.layers
        self.model.model.language_model.layers = layers[:4]
        try:
            self()
        finally:
            self.model.model.language_model.layers = layers


class Headed(nn.Module):
    """A wrapper with a head of its own that shows the model's config and hides the rest."""

    def __init__(self, model):
        super().__init__()
        self.inside, self.config = model, model.config


def text_model():
    return LlamaForCausalLM(tiny_llava().config.text_config)


def detached(run):
    run.detach()
    with run:
        pass


ATTACHING = {
    "a name": (lambda m: attach("llava", HALVES), v2drop.UnsupportedModelError, "str is not a transformers model"),
    "a plain module": (lambda m: attach(nn.Linear(2, 2), HALVES), v2drop.UnsupportedModelError, "Linear is not a tra"),
    "a text model": (lambda m: attach(text_model(), HALVES), v2drop.UnsupportedModelError, "no adapter for .*'llama'"),
    "a wrapper": (lambda m: attach(Headed(m), HALVES), v2drop.UnsupportedModelError, "Headed has no base_model"),
    "an adapter's class": (lambda m: attach(m, HALVES, adapter=LlavaAdapter), v2drop.UnsupportedModelError, "an instance"),
    "an adapter and no model": (
        lambda m: attach(3, HALVES, adapter=LlavaAdapter()), v2drop.UnsupportedModelError, "int is not a model",
    ),
    "nothing to keep": (lambda m: attach(m), v2drop.ScheduleError, "pass one of the two"),
    "two budgets": (lambda m: attach(m, HALVES, retained=0.5), v2drop.ScheduleError, "pass one of the two"),
    "a plain list": (lambda m: attach(m, [(1, 0.5)]), v2drop.ScheduleError, "pass a v2drop.Schedule"),
    "too deep": (lambda m: attach(m, Schedule([(6, 0.5)])), v2drop.ScheduleError, "the model has 6 decoder layers"),
    "a preset for more layers": (
        lambda m: attach(m, Schedule.preset("llava-1.5-192")), v2drop.ScheduleError, "another depth than a preset's",
    ),
    "a budget of nothing": (lambda m: attach(m, retained=0), v2drop.ScheduleError, "above 0 and up to 1"),
    "a budget of percents": (lambda m: attach(m, retained=33), v2drop.ScheduleError, "retained=33: a budget is a share"),
    "a budget out of reach": (lambda m: attach(m, retained=0.01), v2drop.ScheduleError, "at least 0.167 is kept"),
    "an unknown method": (lambda m: attach(m, HALVES, method="v3drop"), v2drop.MethodError, "unknown method 'v3drop'"),
    "an unknown metric": (lambda m: attach(m, HALVES, metric="L2"), v2drop.MetricError, "unknown metric 'L2': use one of"),
}  # fmt: skip
SCHEDULES = {
    "a stage before layer 0": (lambda: Schedule([(0, 0.5)]), "first possible stage is at layer 1"),
    "a layer between layers": (lambda: Schedule([(1.5, 0.5)]), "layer 1.5: a layer is an integer"),
    "layers that descend": (lambda: Schedule([(3, 0.5), (1, 0.5)]), "must ascend"),
    "a layer twice": (lambda: Schedule([(3, 0.5), (3, 0.5)]), "each at most once"),
    "keeping more than all": (lambda: Schedule([(1, 1.2)]), "keep=1.2 at layer 1"),
    "keeping not a number": (lambda: Schedule([(1, float("nan"))]), "keep=nan at layer 1"),
    "keeping a word": (lambda: Schedule([(1, "half")]), "keep='half' at layer 1"),
    "a stage of one part": (lambda: Schedule([3]), "a stage is a pair"),
    "a negative minimum": (lambda: Schedule([(1, 0.5)], min_tokens=-1), "min_tokens=-1: it is an integer"),
    "an unknown preset": (lambda: Schedule.preset("llava"), "unknown preset 'llava': there are"),
    "another file": (lambda: Schedule.from_dict({"layers": 3}), "not a schedule: .'layers': 3."),
}
CALLS = {
    "a vision mask of another length": (
        lambda run, call: call(run, torch.ones(2, 3, dtype=torch.bool)), v2drop.VisionMaskError, r"vision_mask is \[2, 3\]",
    ),
    "a vision mask of numbers": (
        lambda run, call: call(run, torch.ones(call.inputs["input_ids"].shape)), v2drop.VisionMaskError, "bool tensor",
    ),
    "a vision mask that is none": (lambda run, call: call(run, "all"), v2drop.VisionMaskError, "vision_mask is str"),
    "pictures without placeholders": (
        lambda run, call: call(input_ids=call.inputs["input_ids"].masked_fill(call.inputs["input_ids"] == IMAGE, 5)),
        v2drop.VisionMaskError, "no vision token was found",
    ),
    "a cache cropped into a picture": (lambda run, call: call.cropped(), v2drop.CacheError, "not into it"),
    "a cache of another batch": (lambda run, call: call.of_another_batch(), v2drop.CacheError, "a batch of 2 and this call"),
    "a cache of sliding windows": (lambda run, call: call.sliding(), v2drop.CacheError, "without sliding windows"),
    "layers that are skipped": (lambda run, call: call.broken_layer(), v2drop.UnsupportedModelError, "4 of 6 decoder layers"),
    "attaching twice": (lambda run, call: attach(call.model, HALVES), v2drop.AlreadyAttachedError, "attached to this"),
    "attaching to a part as well": (
        lambda run, call: attach(call.model.model, HALVES), v2drop.AlreadyAttachedError, "attached to this",
    ),
    "exporting": (
        lambda run, call: torch.export.export(call.model, (), kwargs=call.inputs, strict=False),
        v2drop.UsageError, "torch.export of an attached model",
    ),
    "half a picture": (
        lambda run, call: LlavaAdapter().layout(call.model, {"input_ids": torch.full((1, 15), IMAGE)}),
        v2drop.VisionMaskError, "15 vision tokens",
    ),
}  # fmt: skip
PLAIN = {
    "a layer left out": (
        lambda: ProgressiveDropper(HALVES, VISION).before_layer(1, torch.randn(1, 5, 4)),
        v2drop.UsageError, r"without before_layer\(0\)",
    ),
    "an input of another length": (
        lambda: ProgressiveDropper(HALVES, VISION).before_layer(0, torch.randn(1, 4, 4)),
        v2drop.UsageError, r"the input is \[1, 4, 4\], but 5 columns",
    ),
    "masks of two lengths": (
        lambda: ProgressiveDropper(HALVES, VISION, attention_mask=torch.ones(1, 4)),
        v2drop.VisionMaskError, r"attention mask is \[1, 4\]",
    ),
    "tokens that differ": (
        lambda: token_variation(torch.randn(1, 5, 4), torch.randn(1, 4, 4)), v2drop.UsageError, "compare the same tokens",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    model = tiny_llava()
    model(**batch(torch.Generator().manual_seed(0), (1,)))  # transformers installs hooks of its own at a first forward
    return model


def traces(model):
    """What an attachment leaves on a model while it is attached."""
    hooks = [
        hook
        for module in model.modules()
        for found in (module._forward_hooks, module._forward_pre_hooks)
        for hook in found.values()
    ]
    return hooks, [module for module in model.modules() if "forward" in vars(module)]


MISTAKES = (
    [pytest.param(make, kind, match, id=name) for name, (make, kind, match) in ATTACHING.items()]
    + [
        pytest.param(lambda model, make=make: make(), v2drop.ScheduleError, match, id=name)
        for name, (make, match) in SCHEDULES.items()
    ]
    + [
        pytest.param(lambda model, make=make: attached(model, make), kind, match, id=name)
        for name, (make, kind, match) in CALLS.items()
    ]
    + [
        pytest.param(lambda model, make=make: make(), kind, match, id=name)
        for name, (make, kind, match) in PLAIN.items()
    ]
    + [
        pytest.param(lambda model: detached(attach(model, HALVES)), v2drop.UsageError, "was detached", id="detached"),
        pytest.param(
            lambda model: attached(model, lambda run, call: call(), Qwen2VLAdapter()),
            v2drop.UnsupportedModelError,
            "LlavaModel.*takes no pixel_values_videos.*pass the adapter of this model type",
            id="another model's adapter",
        ),
        pytest.param(
            lambda model: Qwen2VLAdapter().layout(
                Qwen2VLForConditionalGeneration(tiny_config()), {"input_ids": torch.full((1, 4), 98)}
            ),
            v2drop.VisionMaskError,
            "4 vision tokens but 0 pictures",
            id="pictures without their grid",
        ),
        pytest.param(
            lambda model: attach(SimpleNamespace(config=model.config), HALVES),
            v2drop.UnsupportedModelError,
            "SimpleNamespace is not a transformers model",
            id="a config and no model",
        ),
    ]
)


def attached(model, make, adapter=None):
    with attach(model, HALVES, adapter=adapter) as run:
        make(run, Called(model))


@torch.no_grad()
@pytest.mark.parametrize(("mistake", "kind", "match"), MISTAKES)
def test_a_mistake_is_named_and_leaves_the_model_as_it_was(model, mistake, kind, match):
    inputs, before = batch(torch.Generator().manual_seed(1), (1,)), traces(model)
    stock = model(**inputs).logits
    with pytest.raises(kind, match=match) as told:
        mistake(model)
    assert isinstance(told.value, v2drop.V2DropError)
    assert any(word in str(told.value) for word in ("v2drop docs", "cache", "pass", "use one of", "compare"))
    assert traces(model) == before
    assert torch.equal(model(**inputs).logits, stock)


def test_there_are_thirty_kinds():
    assert len(MISTAKES) >= 30
