"""Random dropping: the baseline that any method must beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import MethodError
from .base import Method, StageContext


class Random(Method):
    """A pseudorandom score for each vision token, made from the seed, the layer and the token's rank in its sample.

    So it is the same in any batch and on any device. Comparisons over many prompts should use a new seed for each.

    Args:
        seed: one for all samples, or one for each sample of the batch.

    Raises:
        MethodError: a seed is not a 64-bit integer or, when scoring, their number is not that of the samples.
    """

    name = "random"

    def __init__(self, seed: int | Sequence[int] = 0) -> None:
        seeds = [seed] if isinstance(seed, int) else list(seed)
        if not all(isinstance(each, int) and abs(each) < 2**63 for each in seeds):
            raise MethodError(f"seed={seed!r}: it is a 64-bit integer, or one for each sample; see v2drop docs methods")
        self.seed = seed

    def score(self, context: StageContext) -> Tensor:
        """Numbers from 0 to 1."""
        if not isinstance(self.seed, int) and len(self.seed) != len(context.rank):
            raise MethodError(f"{len(self.seed)} seeds for {len(context.rank)} samples; see v2drop docs methods")
        state = _mixed(_mixed(torch.tensor(self.seed)) + context.layer)  # on the CPU: a plain number needs no transfer
        start = state.item() if state.ndim == 0 else state[:, None].to(context.rank.device)
        return _mixed(context.rank + start).to(torch.float64).div(2.0**63).abs().float()


def _mixed(state: Tensor) -> Tensor:
    """SplitMix64's mixing function (Steele, Lea and Flood 2014), in wrapping int64 arithmetic."""
    state = state + -0x61C8864680B583EB
    state = (state ^ (state >> 30 & (1 << 34) - 1)) * -0x40A7B892E31B1A47
    state = (state ^ (state >> 27 & (1 << 37) - 1)) * -0x6B2FB644ECCEEE15
    return state ^ (state >> 31 & (1 << 33) - 1)
