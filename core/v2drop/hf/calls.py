"""Argument names of stock models: finds the cache, the mask and the positions, whatever a release calls them.

All other code uses the names in `NAMES`, which are those of the newest tested transformers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import UnsupportedModelError

NAMES: Mapping[str, tuple[str, ...]] = {
    "attention_mask": (),
    "cache": ("past_key_values",),  # transformers 5.0 to 5.23
    "position_embeddings": (),
    "position_ids": (),
    "cache_position": (),  # transformers 5.0 to 5.3
}
"""Decoder-layer arguments that run over positions: v2drop's name for each, and its other names in some releases."""

_CACHE_NAMES = ("cache", *NAMES["cache"])
_BY_TYPE = {  # an argument with an unknown name is found by its annotation, if that is unique
    "cache": re.compile(r"\bCache\b"),
    "position_embeddings": re.compile(r"tuple\[(torch\.)?Tensor, (torch\.)?Tensor\]", re.IGNORECASE),
}
_FLAG = re.compile(
    r"(bool|int|float|str|None|Optional|typing|[\s|.\[\]])+"
)  # annotations of values that cannot run over positions
_OVER_SEQUENCES = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k")  # packed; see packed_sequences.py
_SINCE = {"mm_encoder_outputs": "5.18"}  # arguments of inner models that earlier releases lack
_READ_ON = "see v2drop docs adding-an-architecture, 'What cannot work'"


@dataclass(frozen=True)
class LayerArguments:
    """The argument names of one class of decoder layers, read from the signature of its `forward`.

    Attributes:
        hidden_states: the first argument, a layer's input.
        attention_mask, cache, position_embeddings, position_ids, cache_position: the layer's names for those in
            `NAMES`; "" if it does not take one.
        names: all arguments that `forward` names, in order.
    """

    hidden_states: str
    attention_mask: str
    cache: str
    position_embeddings: str
    position_ids: str
    cache_position: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, layer: nn.Module) -> LayerArguments:
        """The argument names of a decoder layer.

        Raises:
            UnsupportedModelError: the layer takes no mask or no cache, or takes an argument that v2drop does not know
                and that may run over positions.
        """
        parameters = _parameters(layer)
        stock = _stock_names(parameters)
        names = tuple(parameter.name for parameter in parameters)
        where = f"{type(layer).__name__}.forward({', '.join(names)})"
        for needed in ("attention_mask", "cache"):
            if needed not in stock:
                known = " or ".join((needed, *NAMES[needed]))
                raise UnsupportedModelError(
                    f"{where} takes no {known}: v2drop shortens what runs over positions, and finds no {needed} here; "
                    f"override Adapter.layer_arguments; {_READ_ON}"
                )
        others = [each for each in parameters[1:] if each.name not in stock.values() and not _is_flag(each)]
        if others:
            raise UnsupportedModelError(
                f"{where} takes {', '.join(each.name for each in others)}, which may run over positions, and v2drop does not "
                f"know how to shorten that; override Adapter.layer_arguments; {_READ_ON}"
            )
        return cls(names[0], names=names, **{name: stock.get(name, "") for name in NAMES})

    def known(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A layer's keyword arguments, renamed to those in `NAMES`."""
        ours = {getattr(self, name): name for name in NAMES}
        return {ours.get(name, name): value for name, value in arguments.items()}

    def stock(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments with names from `NAMES`, renamed to the layer's own."""
        return {(name in NAMES and getattr(self, name)) or name: value for name, value in arguments.items()}


def check_gathered(given: Mapping[str, Any], gathered: Iterable[str], columns: Iterable[int], layer: str) -> None:
    """Raise UnsupportedModelError if a shortened layer gets an argument that runs over positions but was not shortened.

    Args:
        given: the layer's keyword arguments under the names of `NAMES`.
        gathered: names of those that were shortened.
        columns: how many positions the call has, and how many keys a layer has without dropping; a value with an axis
            of such a length runs over them.
        layer: the layer's class, for the message.
    """
    lengths = {count for count in columns if count > 1}
    fine = {*gathered, "cache", "cache_position", *_OVER_SEQUENCES}
    for name, value in given.items():
        if name not in fine and (is_cache(value) or _runs_over(value, lengths)):
            what = "a cache" if is_cache(value) else "something over positions"
            raise UnsupportedModelError(
                f"{layer} is called with {name}, {what} that v2drop does not know, so it would not fit what is left after "
                f"dropping: leave it out, or override Adapter.gather_rotary; {_READ_ON}"
            )


def check_inner_model(inner: nn.Module, media_inputs: Iterable[str]) -> tuple[str, ...]:
    """The names of an inner model's arguments, in order.

    Raises:
        UnsupportedModelError: it does not take token ids, embeddings, a mask and the adapter's media inputs.
    """
    names = tuple(parameter.name for parameter in _parameters(inner))
    needed = ["input_ids", "inputs_embeds", "attention_mask", *(name for name in media_inputs if name not in _SINCE)]
    missing = [name for name in needed if name not in names]
    if missing:
        raise UnsupportedModelError(
            f"{type(inner).__name__}.forward({', '.join(names)}) takes no {', no '.join(missing)}, so v2drop would not see what "
            "is passed in its place: pass the adapter of this model type, or none. A new adapter's media_inputs name the "
            f"arguments that carry pictures and videos, and its inner_model is what takes them; {_READ_ON}"
        )
    return names


def cache_name(model: nn.Module) -> str:
    """The name of a model's cache argument: "cache", or "past_key_values" up to transformers 5.23."""
    return _stock_names(_parameters(model))["cache"]


def cache_argument(model: nn.Module, cache: Any) -> dict[str, Any]:
    """The argument with which a call of this model continues a cache: `model(turn, **cache_argument(model, cache))`."""
    return {cache_name(model): cache}


def cache_in(arguments: Mapping[str, Any]) -> Any:
    """The cache in a call's arguments or in an output, whatever its name there; None if there is none."""
    # names first: torch.compile recompiles a step whenever a value that was inspected changes its shape
    for value in (*map(arguments.get, _CACHE_NAMES), *arguments.values()):
        if is_cache(value):
            return value
    return None


def is_cache(value: Any) -> bool:
    """Whether this is a cache of transformers, or an object that acts as one."""
    return hasattr(value, "get_seq_length") and hasattr(value, "update")


def is_paged(arguments: Mapping[str, Any]) -> bool:
    """Whether a call comes from transformers' continuous batching, judged by its cache."""
    return any(type(arguments.get(name)).__name__ == "PagedAttentionCache" for name in _CACHE_NAMES)


def _parameters(module: nn.Module) -> list[inspect.Parameter]:
    """The parameters that a module's `forward` names; for a wrapper that names none (FSDP, checkpointing,
    torch.compile), those of its only child."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    signature = inspect.signature(type(module).forward)
    named = [each for each in signature.parameters.values() if each.kind not in several][1:]  # without self
    children = list(module.children())
    return _parameters(children[0]) if not named and len(children) == 1 else named


def _stock_names(parameters: Iterable[inspect.Parameter]) -> dict[str, str]:
    """Maps names in `NAMES` to the parameters' names: found by name, or else the only one of its type."""
    names, parameters = {}, list(parameters)
    for name, others in NAMES.items():
        named = [each.name for each in parameters if each.name in (name, *others)]
        of_type = [each.name for each in parameters if name in _BY_TYPE and _BY_TYPE[name].search(str(each.annotation))]
        found = named or of_type
        if len(found) == 1:
            names[name] = found[0]
    return names


def _is_flag(parameter: inspect.Parameter) -> bool:
    """Whether an argument is a plain value, such as `use_cache`, by its annotation or, without one, its default."""
    if parameter.annotation is inspect.Parameter.empty:
        return isinstance(parameter.default, (bool, int, float, str))
    annotation = parameter.annotation
    return bool(_FLAG.fullmatch(annotation.__name__ if isinstance(annotation, type) else str(annotation)))


def _runs_over(value: Any, lengths: set[int]) -> bool:
    if isinstance(value, Tensor):
        return not lengths.isdisjoint(value.shape)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return any(_runs_over(each, lengths) for each in value)
    return hasattr(value, "mask_mod")  # flex_attention's masks
