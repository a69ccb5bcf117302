"""SparseVLM (ICML 2025): the text tokens that attend most to a picture decide which of its tokens stay."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import MethodError
from .base import Method, StageContext
from .selection import keep_highest


class SparseVLM(Method):
    """Cuts before layers 2, 6 and 15 (of 32). Raters are the text tokens with above-average attention to vision tokens.

    Args:
        recycle: the share of kept tokens that is merged from dropped ones: the better half of the dropped tokens, each
            merged into the most similar of the best few.

    Raises:
        MethodError: `recycle` is not a share from 0 to 1.
    """

    name = "sparsevlm"
    depths = (2 / 32, 6 / 32, 15 / 32)
    drops_rest = False
    reads_text = True

    def __init__(self, recycle: float = 0.0) -> None:
        if not 0 <= recycle <= 1:
            raise MethodError(f"recycle={recycle!r}: a share from 0 to 1; see v2drop docs methods")
        self.recycle = recycle

    def score(self, context: StageContext) -> Tensor:
        """Attention that each token receives from the raters in the previous layer, averaged over heads and summed."""
        text = context.text
        received = context.attention(text.positions).mean(1)  # [B, text, Q]
        valid = torch.ones_like(text.positions, dtype=torch.bool) if text.is_token is None else text.is_token
        looking = (received * context.vision[:, None, :]).sum(2) * valid
        average = looking.sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp(min=1)
        raters = valid & (looking >= average)
        return (received * raters[:, :, None]).sum(1)

    def choose(self, context: StageContext, scores: Tensor) -> tuple[Tensor, Tensor]:
        """With recycling, some of the tokens that stay are means of dropped tokens."""
        if not self.recycle:
            return super().choose(context, scores)
        recycled = [int(count * self.recycle) for count in context.staying]
        keep = keep_highest(scores, context.candidates, _less(context.staying, recycled))
        dropped = context.candidates & ~keep
        centres = keep_highest(scores, dropped, recycled)
        better = scores >= _median(scores, dropped)
        return keep | centres, _merged(context.current, dropped & better, centres)


def _less(counts: Sequence[int], others: Sequence[int]) -> list[int]:
    return [count - other for count, other in zip(counts, others, strict=True)]


def _median(scores: Tensor, among: Tensor) -> Tensor:
    return scores.masked_fill(~among, torch.nan).nanmedian(1, keepdim=True).values


def _merged(states: Tensor, members: Tensor, centres: Tensor) -> Tensor:
    """States [B, Q, H] in which each centre is the mean of itself and of the members closest to it."""
    unit = torch.nn.functional.normalize(states.float(), dim=-1)
    cosines = (unit @ unit.transpose(1, 2)).masked_fill(~centres[:, None, :], -torch.inf)
    nearest = cosines.argmax(2)
    rows = torch.arange(states.shape[1], device=states.device)
    nearest = torch.where(centres, rows, nearest)
    belongs = (nearest[:, :, None] == rows) & (members | centres)[:, :, None] & centres[:, None, :]
    share = belongs.to(states.dtype)
    mean = share.transpose(1, 2) @ states / share.sum(1)[..., None].clamp(min=1)
    return torch.where(centres[..., None], mean, states)
