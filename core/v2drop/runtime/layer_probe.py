"""Attention weights and keys of a stock model's decoder layer, for methods that score by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..adapter import Adapter
from ..hf.calls import LayerArguments


class ModelLayerProbe:
    """A `methods.LayerProbe` of the layer before a stage.

    Args:
        adapter: the model's adapter.
        layer: the decoder layer.
        arguments: its argument names.
        layer_kwargs: its keyword arguments, for the tokens that are left.
        before: how many earlier keys it holds.
        hidden_states: its input, [B, Q, H].
    """

    def __init__(
        self,
        adapter: Adapter,
        layer: Any,
        arguments: LayerArguments,
        layer_kwargs: Mapping[str, Any],
        before: int,
        hidden_states: Tensor,
    ) -> None:
        self._adapter, self._layer, self._arguments, self._kwargs = adapter, layer, arguments, layer_kwargs
        self._before, self._hidden_states = before, hidden_states

    def attention(self, rows: Tensor) -> Tensor:
        """Attention weights from the rows int64 [B, R] to the rows of this call, float32 [B, heads, R, Q]."""
        given = self._arguments.known(self._kwargs)
        weights = self._adapter.attention_rows(self._layer, self._hidden_states, given, rows, self._before)
        return weights[..., self._before :]

    def keys(self) -> Tensor:
        """The keys of this call, rotated, [B, key heads, Q, D]."""
        return self._adapter.layer_keys(self._layer, self._hidden_states, self._arguments.known(self._kwargs))
