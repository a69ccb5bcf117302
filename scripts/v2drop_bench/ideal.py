"""The ideal that a method is compared with: the same layers on inputs that are already short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

import v2drop


class Prefilled(Protocol):
    """The parts of a prompt that the ideal uses."""

    @property
    def embeds(self) -> Tensor:
        """[B, S, H]."""

    @property
    def position_ids(self) -> Tensor:
        """The position ids for the model's rotary embedding."""

    def attached(self, model: Any, run: v2drop.Attachment) -> Any:
        """The inner model's output on an attached model."""


class Ideal:
    """The decoder layers on the tokens that a method left them: no scoring, no choosing, no gathering.

    Creating one runs the method once, and keeps a copy of each stage's input.

    Args:
        model: stock, not attached.
        prompt: the prompt to run on.
        schedule: the stages.
        method: the dropping method; see `v2drop.attach`.
    """

    def __init__(
        self, model: Any, prompt: Prefilled, schedule: v2drop.Schedule, method: str | v2drop.Method = "v2drop"
    ) -> None:
        adapter = v2drop.get_adapter(model)
        self._prompt, self._language_model = prompt, adapter.language_model(model)
        self._layers = adapter.decoder_layers(model)
        self._names = [adapter.layer_arguments(layer) for layer in self._layers]
        self._inputs: dict[int, tuple[Tensor, dict[str, Any]]] = {}
        with v2drop.attach(model, schedule, method=method) as run:
            hooks = [
                self._layers[layer].register_forward_pre_hook(self._keep(layer), with_kwargs=True)
                for layer in (0, *(stage.layer for stage in schedule.stages))
            ]
            prompt.attached(model, run)
            for hook in hooks:
                hook.remove()

    def _keep(self, layer: int) -> Callable[..., None]:
        def hook(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
            names = self._names[layer]
            options = {name: value for name, value in kwargs.items() if name not in (names.cache, "use_cache")}
            hidden = args[0] if args else options.pop(names.hidden_states)
            self._inputs[layer] = hidden.clone(), options

        return hook

    def __call__(self) -> Any:
        """Run the layers, and return the filled cache."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self._language_model.config)
        self._language_model.rotary_emb(self._prompt.embeds, position_ids=self._prompt.position_ids)
        for number, layer in enumerate(self._layers):
            if number in self._inputs:
                hidden, options = self._inputs[number]
            output = layer(hidden, use_cache=True, **{self._names[number].cache: cache}, **options)
            hidden = output[0] if isinstance(output, tuple) else output  # a tuple: Qwen2-VL, transformers 5.0
        self._language_model.norm(hidden)
        return cache
