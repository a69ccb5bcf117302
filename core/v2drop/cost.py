"""The cost of a forward pass in the language model's decoder layers: FLOPs and KV-cache bytes."""

from __future__ import annotations

from typing import NamedTuple

from .adapter import ModelDimensions


class Cost(NamedTuple):
    """One cost, without and with dropping."""

    dense: int
    dropped: int

    @property
    def ratio(self) -> float:
        """Dropped / dense."""
        return self.dropped / self.dense if self.dense else 1.0


def layer_flops(dimensions: ModelDimensions, queries: int, keys: int) -> int:
    """Floating-point operations of one decoder layer for one sample, a multiply-add counted as two.

    Counts the projections of queries, keys, values and output, attention over the full queries x keys rectangle (as in
    kernels that do not skip the causal half), and the three matrices of a gated MLP, but no norms or activations.
    """
    d = dimensions
    projections = 2 * d.hidden_size * d.head_dim * (2 * d.num_heads + 2 * d.num_kv_heads)
    mlp = 3 * 2 * d.hidden_size * d.intermediate_size
    attention = 2 * 2 * d.num_heads * d.head_dim * keys
    return queries * (projections + mlp + attention)


def layer_kv_bytes(dimensions: ModelDimensions, keys: int, element_size: int) -> int:
    """Bytes of one layer's keys and values for one sample; `element_size` is bytes per number."""
    return 2 * keys * dimensions.num_kv_heads * dimensions.head_dim * element_size
