"""What a method is: a score for tokens at a stage, and the layers at which its authors cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..errors import UsageError
from ..kept_tokens import KeptTokens
from ..schedule import PAPER_DEPTHS, Schedule
from .selection import keep_highest


class LayerProbe(Protocol):
    """What the layer before a stage tells of itself, for its own input."""

    def attention(self, rows: Tensor) -> Tensor:
        """Weights with which rows int64 [B, R] attend to those of this call, float32 [B, heads, R, Q].

        Over a filled cache they add up to less than 1: what falls on earlier keys is left out.
        """

    def keys(self) -> Tensor:
        """The keys of this call, rotated, [B, key heads, Q, D]."""


@dataclass(frozen=True)
class StageContext:
    """What a method may look at before a stage drops. Rows are the tokens that are left.

    Attributes:
        layer: the stage's layer; its input is scored.
        previous: input of the layer before, [B, Q, H].
        current: input of the stage's layer for the same rows, [B, Q, H].
        index: int64 [B, Q], the original column of each row.
        real: bool [B, Q], False at padding and at padding slots of samples that are shorter.
        vision: bool [B, Q], the vision tokens.
        candidates: bool [B, Q], those that may be dropped: vision tokens but for a sample's last token.
        rank: int64 [B, Q], of vision tokens: how many of its sample's stood before it.
        staying: how many candidates of each sample stay.
        text_counts: how many rows of each sample are real and no vision tokens.
        probe: attention and keys of the layer before; None where there is no model.
    """

    layer: int
    previous: Tensor
    current: Tensor
    index: Tensor
    real: Tensor
    vision: Tensor
    candidates: Tensor
    rank: Tensor
    staying: Sequence[int]
    text_counts: Sequence[int]
    probe: LayerProbe | None

    @property
    def last(self) -> Tensor:
        """int64 [B, 1], each sample's last real row: that from which the next token is predicted."""
        rows = torch.arange(self.real.shape[1], device=self.real.device)
        return (rows * self.real).argmax(1, keepdim=True)

    @property
    def text(self) -> KeptTokens:
        """The rows that are real and no vision tokens, filled up for samples with fewer."""
        return KeptTokens.select(self.real & ~self.vision, self.text_counts)

    def attention(self, rows: Tensor) -> Tensor:
        """See `LayerProbe.attention`. Raises UsageError where there is no model."""
        return self._probe().attention(rows)

    def keys(self) -> Tensor:
        """See `LayerProbe.keys`. Raises UsageError where there is no model."""
        return self._probe().keys()

    def _probe(self) -> LayerProbe:
        if self.probe is None:
            raise UsageError(
                "this method looks at a model's attention, and there is no model: use v2drop.attach, or another method; "
                "see v2drop docs methods"
            )
        return self.probe


class Method(ABC):
    """One way to choose. Subclasses say a `name` and how tokens are scored; one file each.

    Attributes:
        name: what `attach(method=...)` calls it.
        depths: where its authors cut, as shares of the decoder's depth; None for methods without cuts of their own, which are
            cut where V2Drop is.
        drops_rest: whether its last cut drops what is left, as V2Drop's does.
        reads_text: whether the text behind a picture has a say. Then what is taken together with the prompt, as in assisted
            generation and in generation without a cache, changes what stays.
    """

    name: ClassVar[str]
    depths: ClassVar[Sequence[float] | None] = None
    drops_rest: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    @abstractmethod
    def score(self, context: StageContext) -> Tensor:
        """float32 [B, Q]; of a sample's candidates those with the largest scores stay, of equal ones the earlier."""

    def choose(self, context: StageContext, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Which candidates stay, bool [B, Q], and the stage's input, [B, Q, H], which a method may change."""
        return keep_highest(scores, context.candidates, context.staying), context.current

    def schedule(self, num_layers: int, retained: float, first: int = 1) -> Schedule:
        """The schedule of this budget at the method's cuts. Raises ScheduleError where they cannot reach it.

        Cuts before layer `first`, the first before which the model allows one, are made there.
        """
        depths = PAPER_DEPTHS if self.depths is None else self.depths
        cuts = sorted({min(num_layers - 1, max(first, round(depth * num_layers))) for depth in depths})
        return Schedule.for_budget(num_layers, retained, cuts, drop_rest=self.drops_rest)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"
