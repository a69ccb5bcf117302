"""The installed adapters: entry points in the group ``v2drop.adapters``, named after transformers' model types."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .adapter import Adapter
from .errors import UnsupportedModelError

GROUP = "v2drop.adapters"


def registered_adapters() -> dict[str, EntryPoint]:
    """The installed adapters by model type; nothing is imported until an entry point's `load()`."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def get_adapter(model: Any) -> Adapter:
    """The adapter for a model.

    Raises:
        UnsupportedModelError: not a model, or no adapter is registered for its `config.model_type`.
    """
    bare = unwrap(model)
    model_type = getattr(getattr(bare, "config", None), "model_type", None)
    if not isinstance(bare, nn.Module) or model_type is None:
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a transformers model: pass a vision-language model such as "
            "LlavaForConditionalGeneration; see v2drop docs models"
        )
    known = registered_adapters()
    if model_type not in known:
        raise UnsupportedModelError(
            f"no adapter for model type {model_type!r} ({type(bare).__name__}): there are {', '.join(known) or 'none'}. "
            "v2drop docs adding-an-architecture shows how to add one"
        )
    adapter = known[model_type].load()()
    if not isinstance(adapter, Adapter):
        raise UnsupportedModelError(
            f"entry point {known[model_type].value!r} of model type {model_type!r} is not a v2drop.Adapter class; "
            "see v2drop docs adding-an-architecture"
        )
    return adapter


def unwrap(model: Any) -> Any:
    """The transformers model inside its wrappers: torch.compile, PEFT and data parallel."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
            model = model.get_base_model()
        elif hasattr(getattr(model, "base_model", None), "peft_config"):  # PEFT's mixed models
            model = model.base_model.model
        elif isinstance(model, (DistributedDataParallel, DataParallel)):
            model = model.module
        else:
            return model
