"""Attention of a few query rows, computed from a layer's own projections, for methods that score tokens by attention.

The full matrix is never built, so a model keeps its fast attention, whichever implementation that is.
Formulas: softmax(q k' / sqrt(d)) of Vaswani et al. 2017 with the rotary embedding of Su et al. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .masks import seen


def queries_and_keys(
    layer: Any, hidden_states: Tensor, rotary: tuple[Tensor, Tensor], rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Rotated queries [B, heads, R, D] of some rows of a layer's input, and keys [B, key heads, Q, D] of all rows.

    Args:
        layer: a decoder layer with `input_layernorm` and `self_attn` (q_proj, k_proj; q_norm and k_norm if it has them).
        hidden_states: the layer's input [B, Q, H].
        rotary: cos and sin, [B or 1, Q, D].
        rows: int64 [B, R], the query rows.
    """
    attention, hidden_states = layer.self_attn, layer.input_layernorm(hidden_states)
    samples = torch.arange(rows.shape[0], device=rows.device)[:, None]
    cos, sin = (part.expand(rows.shape[0], -1, -1) for part in rotary)
    queries = _heads(attention, "q", hidden_states[samples, rows])
    keys = _heads(attention, "k", hidden_states)
    return _rotate(queries, cos[samples, rows], sin[samples, rows]), _rotate(keys, cos, sin)


def _heads(attention: Any, name: str, hidden_states: Tensor) -> Tensor:
    projected = getattr(attention, f"{name}_proj")(hidden_states).unflatten(-1, (-1, attention.head_dim))
    norm = getattr(attention, f"{name}_norm", None)
    return (projected if norm is None else norm(projected)).transpose(1, 2)


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    rotated, rest = heads[..., : cos.shape[-1]], heads[..., cos.shape[-1] :]  # some models rotate only a part
    first, second = rotated.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return torch.cat([rotated * cos[:, None] + turned * sin[:, None], rest], dim=-1)


def compose_axes(rotary: Tensor, sections: Sequence[int]) -> Tensor:
    """Merge M-RoPE's cos or sin of each axis, [3, B, Q, D], into [B, Q, D]: sections of D alternate between axes."""
    parts = rotary.split([*sections] * 2, dim=-1)
    return torch.cat([part[number % 3] for number, part in enumerate(parts)], dim=-1)


def visible_keys(mask: Any, rows: Tensor, before: int, count: int, positions: Tensor | None = None) -> Tensor:
    """The keys that some rows see, bool [B, R, before + count], according to a layer's attention mask.

    Args:
        mask: the layer's mask: None (causal), [B, K] of real keys, bool or additive [B or 1, 1, Q, K], or a BlockMask.
        rows: int64 [B, R], among the layer's `count` rows.
        before: how many keys come before those of the rows.
        positions: the layer's position ids, [B or 1, Q]; without a mask, they separate packed sequences if B is 1.
    """
    samples, keys = (
        torch.arange(rows.shape[0], device=rows.device)[:, None],
        torch.arange(before + count, device=rows.device),
    )
    if isinstance(mask, Tensor) and mask.ndim == 4:
        return seen(mask.expand(rows.shape[0], -1, -1, -1)[samples, 0, rows][..., : before + count].to(rows.device))
    if mask is not None and not isinstance(mask, Tensor):
        return mask.mask_mod(samples[..., None], torch.zeros_like(samples[..., None]), rows[..., None], keys)
    causal = keys <= rows[..., None] + before
    if mask is not None:
        return causal & mask[:, None, : before + count].to(rows.device).bool()
    if positions is None or rows.shape[0] > 1 or before:
        return causal
    sequence = (positions == positions.min()).cumsum(1)  # each sequence starts at the lowest
    return causal & (sequence[samples, rows][..., None] == sequence[:, None])


def attention_weights(queries: Tensor, keys: Tensor, visible: Tensor, scaling: float) -> Tensor:
    """Attention weights, float32 [B, heads, R, K].

    Args:
        queries: [B, heads, R, D].
        keys: [B, key heads, K, D]; each is shared by heads / key heads query heads.
        visible: bool [B, R, K], the keys that each query sees.
        scaling: the factor for the products.
    """
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    products = (queries @ keys.transpose(2, 3) * scaling).float()
    weights = products.masked_fill(~visible[:, None], -torch.inf).softmax(-1)
    return weights.masked_fill(~visible.any(-1)[:, None, :, None], 0.0)  # rows that see nothing, such as padding
