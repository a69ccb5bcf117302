"""Packed sequences, as transformers passes them to flash attention: several in one row, without a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kept_tokens import KeptTokens


def renumber_packed(layer_kwargs: Mapping[str, Any], rows: KeptTokens) -> dict[str, Any]:
    """The arguments that mark packed sequences for flash attention, for the tokens that are left.

    Only batches of 1 are packed: in others, transformers ignores both. `position_ids` int [1, S] start again with each
    sequence. Flash attention reads any jump in them as a boundary, so the kept tokens of each sequence are renumbered.
    `cu_seq_lens_q` and `cu_seq_lens_k`, int [N + 1], hold the positions where sequences end.
    """
    short: dict[str, Any] = {}
    positions = layer_kwargs.get("position_ids")
    if positions is not None:
        short["position_ids"] = _renumbered(positions, rows) if rows.positions.shape[0] == 1 else None
    for name in ("cu_seq_lens_q", "cu_seq_lens_k"):
        ends = layer_kwargs.get(name)
        if ends is not None:
            short[name] = (rows.positions.to(ends.device) < ends[:, None]).sum(1, dtype=ends.dtype)
    return short


def _renumbered(positions: Tensor, rows: KeptTokens) -> Tensor:
    starts = positions.diff(dim=1, prepend=positions[:, :1] - 1) != 1
    sequence = rows.gather(starts.cumsum(1))
    first = torch.searchsorted(sequence, sequence)
    return torch.arange(sequence.shape[1], device=sequence.device)[None] - first
