"""Whatever a release calls the arguments of decoder layers, what is dropped is right, or the model is refused by name."""

from __future__ import annotations

import copy
from inspect import Parameter

import pytest
import torch
from support.renamed_arguments import call_by_position, rename
from support.subjects import SUBJECTS
from support.tiny_llava import tiny_llava
from torch import Tensor
from transformers.cache_utils import Cache

import v2drop
from v2drop.hf.calls import LayerArguments, cache_argument, cache_in
from v2drop_llava import LlavaAdapter

GREEDY = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
PAIR = tuple[torch.Tensor, torch.Tensor] | None
subjects = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])


def generated(subject, model):
    """Logits of each step, of a padded batch of unequal prompts."""
    with torch.no_grad(), subject.attach(model, subject.halves):
        return torch.stack(model.generate(**subject.ending_in_text(1, 0, 2), **GREEDY).logits)


def renamed_model(subject, *arguments, attention="sdpa", **options):
    model = copy.deepcopy(subject.model(attention))
    for layer in subject.adapter().decoder_layers(model):
        rename(layer, *arguments, **options)
    return model


@subjects
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("known", "new", "annotation"),
    [("cache", "kv_states", Cache | None), ("position_embeddings", "rope", PAIR), ("cache", "kv", "Cache | None")],
)
def test_a_renamed_argument_is_told_by_its_type(subject, attention, known, new, annotation):
    model = renamed_model(subject, known, new, annotation, attention=attention)
    torch.testing.assert_close(generated(subject, model), generated(subject, subject.model(attention)))


@subjects
@pytest.mark.parametrize(
    ("known", "new", "annotation"),
    [
        ("cache", "kv_states", Parameter.empty),
        ("attention_mask", "bias", torch.Tensor | None),
        ("position_embeddings", "rope", Parameter.empty),
        ("position_ids", "places", torch.LongTensor | None),
    ],
)
def test_what_cannot_be_understood_is_refused_before_anything_runs(subject, known, new, annotation):
    model = renamed_model(subject, known, new, annotation)
    with pytest.raises(
        v2drop.UnsupportedModelError, match=rf"RenamedLayer\.forward.*{new}.*v2drop docs adding-an-architecture"
    ):
        subject.attach(model, subject.halves)
    assert not any(module._forward_pre_hooks for module in model.modules())


@subjects
@pytest.mark.parametrize(("known", "new"), [("position_embeddings", "rope"), ("position_ids", "places")])
def test_what_no_signature_names_is_refused_when_it_comes(subject, known, new):
    if known == "position_ids" and "qwen" in subject.adapter.model_types[0]:
        pytest.skip("where samples are padded, these hand their layers None")
    model, inputs = renamed_model(subject, known, new, named=False), subject.ending_in_text(1, 0, 2)
    with subject.attach(model, subject.halves), pytest.raises(v2drop.UnsupportedModelError, match=f"with {new}, "):
        model(**inputs)


def test_what_users_pass_on_over_positions_is_refused_by_name():
    model, ids = tiny_llava(), torch.tensor([[5, *[99] * 16, 6]])
    pixels = torch.randn(1, 3, 20, 20)
    with v2drop.attach(model, retained=0.5):
        for name, value in (
            ("weights", torch.ones(1, 18)),
            ("pairs", (torch.ones(1, 18, 2),)),
            ("one", torch.ones(18)),
        ):
            with pytest.raises(
                v2drop.UnsupportedModelError, match=f"LlamaDecoderLayer is called with {name}, something over"
            ):
                model(input_ids=ids, pixel_values=pixels, **{name: value})
        model(
            input_ids=ids, pixel_values=pixels, weight=torch.ones(7), scale=2.0
        )  # what runs over nothing else is fine


@subjects
def test_arguments_passed_by_position_are_seen(subject):
    model = copy.deepcopy(subject.model())
    for layer in subject.adapter().decoder_layers(model):
        call_by_position(layer)
    torch.testing.assert_close(generated(subject, model), generated(subject, subject.model()))


def test_media_under_a_name_that_the_model_does_not_take_are_refused():
    class Renamed(LlavaAdapter):
        media_inputs = ("pixels_of_tomorrow",)

    with pytest.raises(v2drop.UnsupportedModelError, match=r"LlavaModel\.forward.*takes no pixels_of_tomorrow"):
        v2drop.attach(tiny_llava(), retained=0.5, adapter=Renamed())


def test_the_deprecated_name_of_the_cache_is_seen():
    model, inputs = (
        tiny_llava(),
        {"input_ids": torch.tensor([[5, *[99] * 16, 6]]), "pixel_values": torch.randn(1, 3, 20, 20)},
    )
    found = []
    with torch.no_grad(), v2drop.attach(model, v2drop.Schedule([(1, 0.5), (3, 0.0)])):
        for name in ("past_key_values", next(iter(cache_argument(model, None)))):
            cache = cache_in(model(**inputs))
            found.append(model(torch.tensor([[7]]), **{name: cache}).logits)
    assert torch.equal(*found)


def test_wrapped_layers_are_looked_into():
    class Wrapper(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, *args, **kwargs):
            return self.layer(*args, **kwargs)

    layer = tiny_llava().model.language_model.layers[0]
    assert LayerArguments.of(Wrapper(layer)) == LayerArguments.of(layer)
    compiled = torch.compile(layer)
    assert LayerArguments.of(compiled) == LayerArguments.of(layer)


class Layer(torch.nn.Module):
    """Names of every kind."""

    def forward(self, x, attention_mask: Tensor | None = None, kv: Cache | None = None, use_cache: bool | None = False,
                verbose=False, layer_idx: int = 0, **kwargs):  # fmt: skip
        raise NotImplementedError


def test_plain_values_are_no_reason_to_refuse():
    arguments = LayerArguments.of(Layer())
    assert (arguments.hidden_states, arguments.cache, arguments.position_embeddings) == ("x", "kv", "")
    assert arguments.known({"kv": 1, "use_cache": 2}) == {"cache": 1, "use_cache": 2}
    assert arguments.stock({"cache": 1, "attention_mask": 3}) == {"kv": 1, "attention_mask": 3}
