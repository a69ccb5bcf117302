"""A self-check of a few milliseconds: compares dropping with masking in a tiny model of an architecture's own layers.

It checks that this release of transformers still calls its layers in a way that v2drop understands. The masking side
uses only the language model's public arguments: embeddings, and a custom mask [B, 1, S, S].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .adapter import Adapter
from .errors import UnsupportedModelError
from .hf.calls import LayerArguments, cache_argument, cache_in
from .layout import VisionLayout
from .methods import make_method
from .runtime.attachment import Attachment
from .schedule import Schedule

LENGTH = 10  # positions of the prompt; one decode step follows


def self_check(model: Any, adapter: Adapter) -> None:
    """Raise an exception if dropping does not equal masking in a tiny copy of this model's language model.

    The copy has three layers and random weights, and runs on the CPU in float32: a padded batch of two samples with
    unequal numbers of vision tokens, then a decode step. The model itself is not run.
    """
    whole, layers = adapter.language_model(model), adapter.decoder_layers(model)
    name = next(name for name, child in whole.named_children() if child is layers)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        torch.manual_seed(0)
        tiny = _tiny(whole)
        embeds = torch.randn(2, LENGTH + 1, tiny.config.hidden_size)
        _compare(tiny, name, _LanguageModel(adapter, name), embeds)


def _tiny(language_model: Any) -> Any:
    config = language_model.config
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    small: dict[str, Any] = {
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "hidden_size": 2 * head_dim,
        "intermediate_size": 16,
        "vocab_size": 8,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id")),
    }
    for option, value in (
        ("num_key_value_heads", 1),
        ("layer_types", (getattr(config, "layer_types", None) or [])[:3]),
    ):
        if getattr(config, option, None) is not None:
            small[option] = value
    made = type(config).from_dict(config.to_dict() | small)
    made._attn_implementation = "sdpa"
    tiny = type(language_model)(made).float().eval()
    for weight in tiny.parameters():
        if weight.ndim > 1:
            weight.copy_(
                torch.randn_like(weight) / weight.shape[-1] ** 0.5
            )  # newly initialized layers hardly change their input
    return tiny


class _LanguageModel(Adapter):
    """An adapter for the language model alone, made from the adapter for the whole model."""

    media_inputs = ()

    def __init__(self, whole: Adapter, layers: str) -> None:
        self._whole, self._layers = whole, layers
        self.gather_rotary = whole.gather_rotary  # type: ignore[method-assign]

    def inner_model(self, model: Any) -> Any:
        return model

    def decoder_layers(self, model: Any) -> Sequence[nn.Module]:
        layers: Sequence[nn.Module] = getattr(model, self._layers)
        return layers

    def layer_arguments(self, layer: nn.Module) -> LayerArguments:
        return self._whole.layer_arguments(layer)

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        raise AssertionError("a language model is shown no picture")


def _compare(tiny: Any, layers: str, adapter: Adapter, embeds: Tensor) -> None:
    real, vision = torch.ones(2, LENGTH + 1, dtype=torch.bool), torch.zeros(2, LENGTH + 1, dtype=torch.bool)
    real[1, :2] = False
    vision[0, 1:8] = vision[1, 4:7] = True
    with Attachment(tiny, Schedule([(1, 0.5)]), adapter, make_method("v2drop")) as run:
        run.vision_mask = vision[:, :LENGTH]
        prompt = tiny(inputs_embeds=embeds[:, :LENGTH], attention_mask=real[:, :LENGTH].long(), use_cache=True)
        cache = cache_argument(tiny, cache_in(prompt))
        step = tiny(inputs_embeds=embeds[:, LENGTH:], attention_mask=real.long(), use_cache=True, **cache)
    assert run.report is not None
    dropped = torch.cat([prompt.last_hidden_state, step.last_hidden_state], dim=1)

    causal = torch.ones(LENGTH + 1, LENGTH + 1, dtype=torch.bool).tril()
    itself = torch.eye(LENGTH + 1, dtype=torch.bool)  # so that no softmax is empty
    first, rest = getattr(tiny, layers)[:1], getattr(tiny, layers)[1:]
    seen: list[Tensor] = []
    handle = first[0].register_forward_hook(lambda _, __, output: seen.append(_hidden(output)))
    tiny(inputs_embeds=embeds, attention_mask=((causal & real[:, None]) | itself)[:, None], use_cache=False)
    handle.remove()

    gone, scores = vision.clone(), (seen[0] - embeds).norm(dim=-1).masked_fill(~vision, -1)
    for sample, count in enumerate(vision.sum(1).tolist()):
        stays = scores[sample].topk(count // 2).indices.sort().values
        gone[sample, stays] = False
        if run.report.kept[1][sample].tolist() != stays.tolist():
            raise UnsupportedModelError(f"tokens {run.report.kept[1][sample].tolist()} were kept, not {stays.tolist()}")
    setattr(tiny, layers, rest)
    tiny.config.num_hidden_layers = len(rest)
    mask = ((causal & (real & ~gone)[:, None]) | itself)[:, None]
    masked = tiny(inputs_embeds=seen[0], attention_mask=mask, use_cache=False).last_hidden_state
    compared = real & ~vision
    if not torch.allclose(dropped[compared], masked[compared], atol=1e-4, rtol=1e-4):
        apart = float((dropped[compared] - masked[compared]).abs().max())
        raise UnsupportedModelError(f"dropping and masking differ by {apart:.1g}")


def _hidden(output: Any) -> Tensor:
    hidden: Tensor = output[0] if isinstance(output, tuple) else output  # Qwen2-VL's layers in transformers 5.0
    return hidden
