"""No dropping: the baseline that every method is compared with, measured in the same way."""

from __future__ import annotations

from torch import Tensor

from ..schedule import Schedule
from .base import Method, StageContext


class Dense(Method):
    """No stages at all, whatever the budget."""

    name = "dense"

    def score(self, context: StageContext) -> Tensor:
        """The same score for all tokens."""
        return context.current.new_zeros(context.current.shape[:2]).float()

    def schedule(self, num_layers: int, retained: float = 1.0, first: int = 1) -> Schedule:
        """No stages."""
        return Schedule([])
