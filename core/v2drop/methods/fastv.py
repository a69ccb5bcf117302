"""FastV (ECCV 2024): one early cut keeps the tokens that the prompt's last token attends to most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from .base import Method, StageContext


class FastV(Method):
    """One cut before layer 2 (of 32): attention from the last token in the layer before, averaged over heads."""

    name = "fastv"
    depths: ClassVar[Sequence[float] | None] = (2 / 32,)
    drops_rest = False
    reads_text = True

    def score(self, context: StageContext) -> Tensor:
        """Attention that each token receives from its sample's last token."""
        return context.attention(context.last)[:, :, 0].mean(1)
