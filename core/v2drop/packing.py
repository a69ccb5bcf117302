"""Packed sequences, as transformers tells flash attention of them: several in one row, with no mask between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .rows import Rows


def shorten_seams(layer_kwargs: Mapping[str, Any], rows: Rows) -> dict[str, Any]:
    """What flash attention tells packed sequences by, for the rows that are left.

    Packed are batches of 1: in others transformers looks at neither. `position_ids` int [1, S] start anew with each
    sequence, and gaps in them are taken for seams too, so the rows of each are counted anew. `cu_seq_lens_q` and
    `cu_seq_lens_k`, int [N + 1], hold the columns where sequences end.
    """
    short: dict[str, Any] = {}
    positions = layer_kwargs.get("position_ids")
    if positions is not None:
        short["position_ids"] = _counted_anew(positions, rows) if rows.index.shape[0] == 1 else None
    for name in ("cu_seq_lens_q", "cu_seq_lens_k"):
        ends = layer_kwargs.get(name)
        if ends is not None:
            short[name] = (rows.index.to(ends.device) < ends[:, None]).sum(1, dtype=ends.dtype)
    return short


def _counted_anew(positions: Tensor, rows: Rows) -> Tensor:
    starts = positions.diff(dim=1, prepend=positions[:, :1] - 1) != 1
    sequence = rows.gather(starts.cumsum(1))
    first = torch.searchsorted(sequence, sequence)
    return torch.arange(sequence.shape[1], device=sequence.device)[None] - first
