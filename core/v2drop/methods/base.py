"""The `Method` base class: a score for tokens at a stage, and the depths of its cuts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..errors import UsageError
from ..kept_tokens import KeptTokens
from ..renamed import moved_attribute, moved_names
from ..schedule import PAPER_DEPTHS, Schedule
from .selection import keep_highest


class LayerProbe(Protocol):
    """Attention weights and keys of the layer before a stage, for its own input."""

    def attention(self, rows: Tensor) -> Tensor:
        """Attention weights from the rows int64 [B, R] to the rows of this call, float32 [B, heads, R, Q].

        With a filled cache they add up to less than 1, because weights on earlier keys are left out.
        """

    def keys(self) -> Tensor:
        """The keys of this call, rotated, [B, key heads, Q, D]."""


@dataclass(frozen=True)
class StageContext:
    """What a method can use to score tokens at a stage. Rows are the tokens that are left.

    Attributes:
        layer: the stage's layer; its input is scored.
        previous: input of the previous layer, [B, Q, H].
        current: input of the stage's layer for the same rows, [B, Q, H].
        index: int64 [B, Q], the original position of each row.
        real: bool [B, Q], False at padding and at padding slots.
        vision: bool [B, Q], the vision tokens.
        candidates: bool [B, Q], rows that may be dropped: vision tokens except a sample's last token.
        rank: int64 [B, Q], for vision tokens: how many of the sample's originally came before it.
        staying: how many candidates stay in each sample.
        text_counts: how many rows of each sample are real and not vision tokens.
        probe: attention and keys of the previous layer; None without a model.
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

    look = moved_attribute("StageContext", "look", "probe")

    @property
    def last(self) -> Tensor:
        """int64 [B, 1], each sample's last real row, from which the next token is predicted."""
        rows = torch.arange(self.real.shape[1], device=self.real.device)
        return (rows * self.real).argmax(1, keepdim=True)

    @property
    def text(self) -> KeptTokens:
        """The rows that are real and not vision tokens; samples with fewer are padded."""
        return KeptTokens.select(self.real & ~self.vision, self.text_counts)

    def attention(self, rows: Tensor) -> Tensor:
        """See `LayerProbe.attention`. Raises UsageError without a model."""
        return self._probe().attention(rows)

    def keys(self) -> Tensor:
        """See `LayerProbe.keys`. Raises UsageError without a model."""
        return self._probe().keys()

    def _probe(self) -> LayerProbe:
        if self.probe is None:
            raise UsageError(
                "this method needs a model's attention, and there is no model: use v2drop.attach, or another method; "
                "see v2drop docs methods"
            )
        return self.probe


class Method(ABC):
    """A way to choose which vision tokens to drop. Subclasses define a `name` and a score; one file each.

    Attributes:
        name: its name in `attach(method=...)`.
        depths: where its authors drop tokens, as shares of the decoder's depth; None to use the depths of V2Drop.
        drops_rest: whether its last cut drops all remaining tokens, as V2Drop's does.
        reads_text: whether scores depend on the text after a picture. If so, assisted generation and generation without
            a cache may keep other tokens, because they process later text together with the prompt.
    """

    name: ClassVar[str]
    depths: ClassVar[Sequence[float] | None] = None
    drops_rest: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    @abstractmethod
    def score(self, context: StageContext) -> Tensor:
        """float32 [B, Q]; each sample's candidates with the largest scores stay, the earlier ones among equals."""

    def choose(self, context: StageContext, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Which candidates stay, bool [B, Q], and the stage's input, [B, Q, H], which a method may change."""
        return keep_highest(scores, context.candidates, context.staying), context.current

    def schedule(self, num_layers: int, retained: float, first: int = 1) -> Schedule:
        """The schedule for a budget with the method's cuts. Raises ScheduleError if they cannot reach it.

        Cuts earlier than `first`, the first layer before which the model allows one, are moved there.
        """
        depths = PAPER_DEPTHS if self.depths is None else self.depths
        cuts = sorted({min(num_layers - 1, max(first, round(depth * num_layers))) for depth in depths})
        return Schedule.for_budget(num_layers, retained, cuts, drop_rest=self.drops_rest)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


__getattr__ = moved_names("v2drop.methods.base", {"Look": "LayerProbe"})
