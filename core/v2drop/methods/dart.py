"""DART (EMNLP 2025): keeps a few pivot tokens, and the tokens least similar to any of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import MethodError
from ..renamed import moved_names
from .base import Method, StageContext


class DART(Method):
    """One cut before layer 2 (of 32). Pivots are the vision tokens with the largest keys in the previous layer.

    Args:
        pivots: the number of pivots in each sample.

    Raises:
        MethodError: `pivots` is not an integer of at least 1.
    """

    name = "dart"
    depths = (2 / 32,)
    drops_rest = False

    def __init__(self, pivots: int = 8) -> None:
        if not isinstance(pivots, int) or pivots < 1:
            raise MethodError(f"pivots={pivots!r}: it is an integer, 1 or more; see v2drop docs methods")
        self.pivots = pivots

    def score(self, context: StageContext) -> Tensor:
        """2 or more for pivots, the largest first; for others, minus the cosine with the most similar pivot."""
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
