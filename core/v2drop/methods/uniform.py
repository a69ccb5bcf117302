"""Uniform dropping: what stays is spread evenly over what was alive."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Method, StageContext


class Uniform(Method):
    """Every n-th candidate: a baseline without a look at the picture."""

    name = "uniform"

    def score(self, context: StageContext) -> Tensor:
        """1 at the candidates that stay: where the staying ones, spread over all, come to one more."""
        place = context.candidates.cumsum(1)
        staying = torch.tensor(context.staying, device=place.device)[:, None]
        alive = place[:, -1:].clamp(min=1)
        return (place * staying // alive > (place - 1) * staying // alive).float()
