"""Which tokens stay at a stage: the highest scores of each sample, earlier positions first among equals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def keep_highest(scores: Tensor, candidates: Tensor, counts: Sequence[int]) -> Tensor:
    """Mark the `counts[b]` highest-scored candidates of each sample b.

    Args:
        scores: float32 [B, N]; only candidates' scores count. NaN ranks like infinity, above all numbers: a token with
            bad values stays and shows in the output, as on the stock model.
        candidates: bool [B, N], the tokens that may be dropped.
        counts: how many candidates stay, one number per sample (on the host: no device is read).

    Returns:
        bool [B, N], True at candidates that stay. Between equal scores the earlier position stays, on every device:
        the sort is stable.
    """
    scores = scores.nan_to_num(torch.inf, torch.inf, torch.finfo(scores.dtype).min)  # above non-candidates
    ranked = scores.masked_fill(~candidates, -torch.inf).argsort(dim=1, descending=True, stable=True)
    first = torch.arange(scores.shape[1], device=scores.device) < _column(counts, scores.device)
    first = first.expand_as(candidates)
    return torch.zeros_like(candidates).scatter(1, ranked, first) & candidates


def _column(counts: Sequence[int], device: torch.device) -> Tensor | int:
    """The counts as [B, 1], or as one plain number if all are equal, which needs no transfer to the device."""
    if len(set(counts)) == 1:
        return counts[0]
    return torch.tensor(counts, device=device)[:, None]
