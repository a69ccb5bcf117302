"""Attention masks of shortened sequences: rows and columns of the stock mask, with padding slots hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ..kept_tokens import KeptTokens

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


HIDDEN = -1e4  # additive masks hide keys at or below this value; above it, keys only weigh less


def seen(mask: Tensor) -> Tensor:
    """Where a mask (bool or additive float, any shape) lets queries see keys: bool of the same shape."""
    return mask > HIDDEN if mask.is_floating_point() else mask.bool()


def shorten_mask(
    mask: Tensor | BlockMask | None,
    queries: KeptTokens | None,
    keys: KeptTokens,
    *,
    past: int | None,
    before: int | None,
    length: int,
    attention: str,
) -> Tensor | BlockMask | None:
    """The stock attention mask of a forward pass, for the queries and keys that are left.

    Args:
        mask: the stock model's mask for its layers: bool or additive float [B or 1, heads or 1, Q, K], a
            [B, K] mask of real keys (flash attention), a BlockMask (flex attention), or None: causal attention without padding.
        queries: the tokens that are left; None: all of them.
        keys: the positions that this layer holds, among the K.
        past: the position of the call's first token. It and `before` may be None if no token of the call was dropped
            and there is a mask.
        before: how many keys come before those of this call.
        length: Q, the positions of the call before dropping.
        attention: transformers' name for the attention implementation; it decides the form of a mask made from None.

    Returns:
        The mask in the same form. No query attends to a padding slot, except a padding slot to itself, so that its softmax is
        never empty. None stays None unless there are padding slots.
    """
    if mask is not None and not isinstance(mask, Tensor):
        return _shorten_block_mask(mask, queries, keys, before, length)
    if mask is None:
        if keys.is_token is None:
            return None
        if "flash" in attention:
            return keys.is_token
        assert past is not None
        own = KeptTokens.every(0, length, keys.positions) if queries is None else queries
        mask = keys.positions[:, None, None, :] <= (own.positions + past)[:, None, :, None]
    elif mask.ndim == 2:
        # positions beyond the mask are hidden, as in stock models: a static cache may be longer than its mask
        reached = KeptTokens(keys.positions.clamp(max=mask.shape[1]), None)
        short = reached.gather(F.pad(mask, (0, 1)))
        return short if keys.is_token is None else short * keys.is_token.to(short.device, short.dtype)
    else:
        mask = _select(mask if queries is None else _select(mask, queries.positions, 2), keys.positions, 3)
    return mask if keys.is_token is None else _hide_padding_slots(mask, queries, keys.is_token.to(mask.device), before)


def _shorten_block_mask(
    mask: BlockMask, queries: KeptTokens | None, keys: KeptTokens, before: int | None, length: int
) -> BlockMask:
    """flex_attention's mask is a function of positions; it is called with the original ones of rows and keys."""
    from torch.nn.attention.flex_attention import create_block_mask  # imported late: it takes half a second

    def visible(sample: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row = query if queries is None else queries.positions[sample, query]
        seen = mask.mask_mod(sample, head, row, keys.positions[sample, key])
        if keys.is_token is not None:
            seen = seen & keys.is_token[sample, key]
        if queries is not None and queries.is_token is not None:
            seen = seen | (~queries.is_token[sample, query] & (key - query == before))
        return seen

    samples, held = keys.positions.shape
    rows = length if queries is None else queries.positions.shape[1]
    return create_block_mask(visible, samples, None, rows, held, device=str(keys.positions.device))


def _select(mask: Tensor, index: Tensor, dim: int) -> Tensor:
    """Rows (dim 2) or columns (dim 3) [B, N] of a mask, one sample at a time because that copies runs of memory."""
    index = index.to(mask.device)
    if index.shape[0] == 1:
        return mask.index_select(dim, index[0])
    samples = mask.expand(index.shape[0], -1, -1, -1).unbind(0)
    return torch.stack([sample.index_select(dim - 1, columns) for sample, columns in zip(samples, index, strict=True)])


def _hide_padding_slots(mask: Tensor, queries: KeptTokens | None, valid_keys: Tensor, before: int | None) -> Tensor:
    hidden, visible = (False, True) if mask.dtype == torch.bool else (torch.finfo(mask.dtype).min, 0.0)
    mask = mask.masked_fill(~valid_keys[:, None, None, :], hidden)
    if queries is None or queries.is_token is None:
        return mask
    assert before is not None
    count, keys = queries.positions.shape[1], mask.shape[3]
    itself = torch.arange(keys, device=mask.device) == torch.arange(before, before + count, device=mask.device)[:, None]
    return mask.masked_fill(~queries.is_token.to(mask.device)[:, None, :, None] & itself, visible)
