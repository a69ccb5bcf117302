"""V2Drop reversed, for tests and model cards: it must be far worse."""

from __future__ import annotations

from torch import Tensor

from v2drop import StageContext
from v2drop.methods.v2drop import V2Drop


class SmallestVariation(V2Drop):
    """Keeps the tokens that changed least."""

    name = "smallest variation"

    def score(self, context: StageContext) -> Tensor:
        """The negative variation of each token."""
        return -super().score(context)
