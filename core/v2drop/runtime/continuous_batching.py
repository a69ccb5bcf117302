"""Refuses prompts with pictures in transformers' continuous batching, which takes only token ids.

Its requests fail in a separate thread, which `generate(cache_implementation="paged")` does not notice: it would return
the prompt without an answer. So `generate_batch`, which both entry points call, checks its inputs first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MethodType
from typing import Any

import torch

from ..adapter import Adapter
from ..errors import UsageError

_NAME = "generate_batch"


def refuse_pictures(adapter: Adapter, inner: Any, inputs: Mapping[str, Any]) -> None:
    """Raise UsageError if token ids hold picture placeholders, because continuous batching ignores the pictures."""
    found = adapter.vision_mask(inner, inputs)
    if found is not None and found.any():
        raise UsageError(
            'generate_batch() and generate(cache_implementation="paged") of transformers take only token ids, so the model '
            "would not see the pictures of this prompt: call generate() with another cache, for padded batches of prompts too; "
            "see v2drop docs limits"
        )


def guard(model: Any, adapter: Adapter) -> None:
    """Make a model's own `generate_batch` refuse prompts with pictures, until `unguard`."""
    if hasattr(model, _NAME):
        vars(model)[_NAME] = MethodType(_Guard(adapter), model)  # a bound method, so that a deep copy gets its own


def unguard(model: Any) -> None:
    """Restore a model's `generate_batch`."""
    if isinstance(getattr(vars(model).get(_NAME), "__func__", None), _Guard):
        del vars(model)[_NAME]


class _Guard:
    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __call__(self, model: Any, inputs: Iterable[list[int]], *args: Any, **kwargs: Any) -> Any:
        inputs = list(inputs)
        for ids in inputs:
            refuse_pictures(self._adapter, self._adapter.inner_model(model), {"input_ids": torch.as_tensor(ids)[None]})
        return type(model).generate_batch(model, inputs, *args, **kwargs)
