"""DART (EMNLP 2025): of tokens that are alike, few stay: a few pivots, and those least like any of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import MethodError
from ..renamed import moved_names
from .base import Method, StageContext


class DART(Method):
    """One cut before layer 2 (of 32). Pivots are the vision tokens with the largest keys in the layer before.

    Args:
        pivots: how many there are in each sample.

    Raises:
        MethodError: no whole number from 1 on.
    """

    name = "dart"
    depths = (2 / 32,)
    drops_rest = False

    def __init__(self, pivots: int = 8) -> None:
        if not isinstance(pivots, int) or pivots < 1:
            raise MethodError(f"pivots={pivots!r}: a whole number from 1 on; see v2drop docs methods")
        self.pivots = pivots

    def score(self, context: StageContext) -> Tensor:
        """2 or more for pivots, by their size; for others, minus the cosine with the most similar pivot."""
        size = torch.linalg.vector_norm(context.keys().float(), dim=(1, 3)).masked_fill(~context.candidates, -1.0)
        count = min(self.pivots, size.shape[1])
        largest, pivots = (part[:, :count] for part in size.sort(dim=1, descending=True, stable=True))
        tokens = F.normalize(context.current.float(), dim=-1)
        samples = torch.arange(len(size), device=size.device)[:, None]
        cosines = tokens @ tokens[samples, pivots].transpose(1, 2)
        likeness = cosines.masked_fill(largest[:, None, :] < 0, -1.0).amax(2)
        first = 3 - torch.arange(count, device=size.device) / count
        return (-likeness).scatter(1, pivots, first.expand_as(largest))


__getattr__ = moved_names("v2drop.methods.dart", {"Dart": "DART"})
