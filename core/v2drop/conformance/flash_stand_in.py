"""An attention function with the contract of flash_attention_2, for machines that cannot run the original."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def flash_stand_in(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention [B, Q, heads, D] of query [B, heads, Q, D] over key and value [B, key heads, K, D].

    It is called like flash attention in transformers. The mask is [B, K], of real keys, or None. Queries are the last
    of the keys, and each sees the keys up to its own. Keys of a static cache after the end of the mask are left out.
    Without a mask, jumps in the position ids of a batch of 1 mark packed sequences; each starts at the lowest position.
    """
    assert attention_mask is None or attention_mask.ndim == 2, "flash attention takes no mask of queries and keys"
    if attention_mask is not None:
        key, value = (part[:, :, : attention_mask.shape[1]] for part in (key, value))
    queries, keys = query.shape[2], key.shape[2]
    visible = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)[None]
    positions = kwargs.get("position_ids")
    if attention_mask is not None:
        visible = visible & attention_mask[:, None, -keys:].bool()
    elif positions is not None and len(query) == 1 and (positions.diff() != 1).any():
        assert queries == keys, "packed sequences and a filled cache"
        sequence = (positions == positions.min()).cumsum(1)
        visible = visible & (sequence[:, :, None] == sequence[:, None, :])
    itself = torch.eye(queries, keys, dtype=torch.bool).roll(keys - queries, dims=1)
    visible = visible | (itself & ~visible.any(-1, keepdim=True))  # padding rows, which flash attention leaves out
    groups = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    weights = (query @ key.transpose(2, 3) * scaling).masked_fill(~visible[:, None], -torch.inf).softmax(-1)
    return (weights @ value).transpose(1, 2), None
