"""Attention masks for shortened rows: the stock mask's rows and columns, less the fillers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .rows import Rows

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


HIDDEN = -1e4  # what additive masks hide is at or below it; what they only weigh less is above


def seen(mask: Tensor) -> Tensor:
    """Where a mask, bool or additive float of any shape, lets queries see keys: bool of that shape."""
    return mask > HIDDEN if mask.is_floating_point() else mask.bool()


def shorten_mask(
    mask: Tensor | BlockMask | None,
    queries: Rows | None,
    keys: Rows,
    past: int | None,
    before: int | None,
    length: int,
    attention: str,
) -> Tensor | BlockMask | None:
    """The stock attention mask of a chunk, for the queries and keys that are left.

    Args:
        mask: what the stock model passes to its layers: bool or additive float [B or 1, heads or 1, Q, K], a
            [B, K] mask of real keys (flash attention), a BlockMask (flex attention), or None: causal attention without padding.
        queries: the rows that are left of the chunk; None: all of its columns.
        keys: the positions among the K that this layer holds.
        past: the position of the chunk's first column. It and `before` may be None where no column was dropped, if
            there is a mask.
        before: how many keys stand before the chunk's own.
        length: Q, the chunk's columns before any were dropped.
        attention: transformers' name of the attention implementation; it decides the form of a mask made from None.

    Returns:
        The mask in the same form. No query attends to a filler, except a filler to itself, so that its softmax is
        never empty. None stays None unless there are fillers.
    """
    if mask is not None and not isinstance(mask, Tensor):
        return _shorten_block_mask(mask, queries, keys, before, length)
    if mask is None:
        if keys.valid is None:
            return None
        if "flash" in attention:
            return keys.valid
        assert past is not None
        own = Rows.every(0, length, keys.index) if queries is None else queries
        mask = keys.index[:, None, None, :] <= (own.index + past)[:, None, :, None]
    elif mask.ndim == 2:
        # positions that it does not reach yet are hidden, as in stock models: a static cache's columns run on behind it
        reached = Rows(keys.index.clamp(max=mask.shape[1]), None)
        short = reached.gather(F.pad(mask, (0, 1)))
        return short if keys.valid is None else short * keys.valid.to(short.device, short.dtype)
    else:
        mask = _select(mask if queries is None else _select(mask, queries.index, 2), keys.index, 3)
    return mask if keys.valid is None else _hide_fillers(mask, queries, keys.valid.to(mask.device), before)


def _shorten_block_mask(
    mask: BlockMask, queries: Rows | None, keys: Rows, before: int | None, length: int
) -> BlockMask:
    """flex_attention's mask: a function of places, which is asked about the places where rows and keys stood."""
    from torch.nn.attention.flex_attention import create_block_mask  # late: it takes half a second

    def visible(sample: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row = query if queries is None else queries.index[sample, query]
        seen = mask.mask_mod(sample, head, row, keys.index[sample, key])
        if keys.valid is not None:
            seen = seen & keys.valid[sample, key]
        if queries is not None and queries.valid is not None:
            seen = seen | (~queries.valid[sample, query] & (key - query == before))
        return seen

    samples, held = keys.index.shape
    rows = length if queries is None else queries.index.shape[1]
    return create_block_mask(visible, samples, None, rows, held, device=str(keys.index.device))


def _select(mask: Tensor, index: Tensor, dim: int) -> Tensor:
    """Rows (dim 2) or columns (dim 3) [B, N] of a mask, one sample at a time because that copies runs of memory."""
    index = index.to(mask.device)
    if index.shape[0] == 1:
        return mask.index_select(dim, index[0])
    samples = mask.expand(index.shape[0], -1, -1, -1).unbind(0)
    return torch.stack([sample.index_select(dim - 1, columns) for sample, columns in zip(samples, index, strict=True)])


def _hide_fillers(mask: Tensor, queries: Rows | None, valid_keys: Tensor, before: int | None) -> Tensor:
    hidden, visible = (False, True) if mask.dtype == torch.bool else (torch.finfo(mask.dtype).min, 0.0)
    mask = mask.masked_fill(~valid_keys[:, None, None, :], hidden)
    if queries is None or queries.valid is None:
        return mask
    assert before is not None
    count, keys = queries.index.shape[1], mask.shape[3]
    itself = torch.arange(keys, device=mask.device) == torch.arange(before, before + count, device=mask.device)[:, None]
    return mask.masked_fill(~queries.valid.to(mask.device)[:, None, :, None] & itself, visible)
