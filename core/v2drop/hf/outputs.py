"""Restores the language model's outputs to their stock shapes, with zeros for dropped tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..kept_tokens import KeptTokens

Restore = Callable[[int, Tensor], Tensor]  # takes a layer's number and its output


def restore_output(output: Any, hidden: Restore, attention: Restore, num_layers: int) -> Any:
    """A model's output with its hidden states and attention weights restored.

    Args:
        output: a ModelOutput, changed in place, or a tuple whose first entry is the last hidden state.
        hidden: restores the output of the given number of layers, [B, Q, H].
        attention: restores the weights of the layer with the given number, [B, heads, Q, K].
        num_layers: decoder layers of the model; it distinguishes hidden states and attentions from other tuples.
    """

    def restored(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) not in (num_layers, num_layers + 1):
            return value
        if len(value) > num_layers and _are_tensors(value, 3):
            return tuple(None if each is None else hidden(layer, each) for layer, each in enumerate(value))
        if len(value) == num_layers and _are_tensors(value, 4):
            return tuple(None if each is None else attention(layer, each) for layer, each in enumerate(value))
        return value

    last = hidden(num_layers, output[0])
    if isinstance(output, tuple):
        return (last, *map(restored, output[1:]))
    output["last_hidden_state"] = last
    for name in ("hidden_states", "attentions"):
        if output.get(name) is not None:
            output[name] = restored(output[name])
    return output


def _are_tensors(values: tuple[Any, ...], ndim: int) -> bool:
    """Whether these are tensors with `ndim` dimensions; a layer that was not requested is None."""
    tensors = [value for value in values if value is not None]
    return bool(tensors) and all(isinstance(value, Tensor) and value.ndim == ndim for value in tensors)


def restore_attention(weights: Tensor, queries: KeptTokens | None, keys: KeptTokens, length: int, total: int) -> Tensor:
    """Expand attention weights [B, heads, Q, K] to [B, heads, length, total], with zeros for dropped rows and keys."""
    if keys.is_token is not None:
        weights = weights.masked_fill(~keys.is_token.to(weights.device)[:, None, None, :], 0)
    columns = keys.positions.to(weights.device)[:, None, None, :].expand_as(weights)
    weights = weights.new_zeros(*weights.shape[:3], total).scatter_add(3, columns, weights)
    if queries is None:
        return weights
    if queries.is_token is not None:
        weights = weights.masked_fill(~queries.is_token.to(weights.device)[:, None, :, None], 0)
    rows = queries.positions.to(weights.device)[:, None, :, None].expand_as(weights)
    return weights.new_zeros(*weights.shape[:2], length, total).scatter_add(2, rows, weights)
