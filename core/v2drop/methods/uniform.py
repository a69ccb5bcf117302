"""Uniform dropping: keeps tokens evenly spread over those that were left."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Method, StageContext


class Uniform(Method):
    """Keeps every n-th candidate: a baseline that ignores the picture."""

    name = "uniform"

    def score(self, context: StageContext) -> Tensor:
        """1 at the candidates that stay: where the number to keep, spread evenly, reaches the next integer."""
        place = context.candidates.cumsum(1)
        staying = torch.tensor(context.staying, device=place.device)[:, None]
        alive = place[:, -1:].clamp(min=1)
        return (place * staying // alive > (place - 1) * staying // alive).float()
