"""V2Drop on plain tensors, without a model or hooks, for use in your own layer loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .errors import UsageError, VisionMaskError
from .kept_tokens import KeptTokens
from .methods import LayerProbe, Method, StageContext, make_method
from .schedule import Schedule, Stage


class ProgressiveDropper:
    """Scores vision tokens at each stage of one forward pass and drops those that changed least.

    Create one for each forward pass:

        dropper = ProgressiveDropper(schedule, vision_mask)
        for layer, block in enumerate(blocks):
            hidden = dropper.before_layer(layer, hidden)
            hidden = block(hidden, dropper.gather(cos), dropper.gather(sin), ...)
        hidden = dropper.restore(hidden)

    Pass every tensor that runs over positions through `gather` after each `before_layer`. In a batch, samples with
    fewer tokens are padded: no other token may attend to a slot where `rows.is_token` is False.

    Args:
        schedule: the stages.
        vision_mask: bool [B, S], True at image or video features.
        attention_mask: [B, S], zero (or False) at padding; None if there is none. Padding is never a candidate and
            is removed together with the first dropped tokens.
        metric: see `token_variation`.
        method: how tokens are scored; `metric` is for V2Drop only.

    A sample's last real token is never a candidate, because the next token is predicted from it. The constructor
    reads counts from the device once; nothing afterwards reads from it.

    Attributes:
        rows: the tokens that are left, or None if all are.
        kept: for each stage passed, by its layer: the tokens left right after it (None: all).
        alive: for each stage passed, by its layer: vision tokens left in each sample.
        vision_counts: vision tokens of each sample.
        nonfinite: for each stage that dropped something, how many candidates had NaN or infinite scores: int64 [].
        vision_end: the position after the last vision token of any sample.

    Raises:
        VisionMaskError: the vision mask is not bool [B, S], or the two masks differ in shape.
        MetricError: unknown metric.
    """

    def __init__(
        self,
        schedule: Schedule,
        vision_mask: Tensor,
        *,
        attention_mask: Tensor | None = None,
        metric: str | None = None,
        method: str | Method = "v2drop",
    ) -> None:
        real = check_masks(vision_mask, attention_mask)
        self.schedule, self.method = schedule, make_method(method, metric=metric)
        self.length = vision_mask.shape[1]
        self.vision_mask = vision_mask & real
        columns = torch.arange(self.length, device=real.device)
        last_real = (columns * real).argmax(dim=1, keepdim=True)
        self._candidates = self.vision_mask & (columns != last_real)
        self._real = real
        behind_vision = ((columns + 1) * self.vision_mask).amax(1)
        told = [self.vision_mask.sum(1), self._candidates.sum(1), real.sum(1), behind_vision]
        counts = torch.stack(told).tolist()  # the one read
        self.vision_counts: list[int] = counts[0]
        self._candidate_counts: list[int] = counts[1]
        self._never_dropped = [all_ - some for all_, some in zip(counts[0], counts[1], strict=True)]
        self._real_counts: list[int] = counts[2]
        self.vision_end: int = max(counts[3])
        self._stages = {stage.layer: stage for stage in schedule.stages}
        self._previous: tuple[Tensor, LayerProbe | None] | None = None
        self.rows: KeptTokens | None = None
        self.kept: dict[int, KeptTokens | None] = {}
        self._selected: dict[int, KeptTokens] = {}
        self.alive: dict[int, list[int]] = {}
        self.nonfinite: list[Tensor] = []

    @property
    def stage_layers(self) -> tuple[int, ...]:
        """Layers before which tokens may be dropped."""
        return tuple(self._stages)

    @property
    def has_candidates(self) -> bool:
        """Whether any sample has a token that may be dropped."""
        return any(self._candidate_counts)

    @property
    def drops(self) -> bool:
        """Whether any stage will drop anything."""
        return any(self.schedule.keep_count(s, n) < n for s in self._stages.values() for n in self._candidate_counts)

    def before_layer(
        self, layer: int, hidden_states: Tensor, probe: Callable[[Tensor], LayerProbe] | None = None
    ) -> Tensor:
        """Call before each decoder layer, in order, with its input [B, Q, H]; returns the tokens that are left.

        The input of the layer before a stage is held until that stage, and no longer. `probe` is for methods that use
        attention: it makes this layer's `LayerProbe` from the returned input.

        Raises:
            UsageError: the layer before a stage was skipped, or the input does not hold the tokens that are left.
        """
        left = self.length if self.rows is None else self.rows.positions.shape[1]
        if hidden_states.shape[:2] != (self.vision_mask.shape[0], left):
            raise UsageError(
                f"before layer {layer} the input is {list(hidden_states.shape)}, but {left} columns are left of "
                f"{self.vision_mask.shape[0]} samples: pass on what before_layer() returned, and make a new "
                "ProgressiveDropper for each forward pass"
            )
        stage = self._stages.get(layer)
        if stage is not None:
            hidden_states = self._drop(stage, hidden_states)
            self.kept[layer] = self.rows
            self.alive[layer] = [sum(both) for both in zip(self._never_dropped, self._candidate_counts, strict=True)]
        self._previous = None
        if layer + 1 in self._stages and self.has_candidates:
            self._previous = hidden_states, None if probe is None else probe(hidden_states)
        return hidden_states

    def _drop(self, stage: Stage, hidden_states: Tensor) -> Tensor:
        alive = self._candidate_counts
        staying = [self.schedule.keep_count(stage, n) for n in alive]
        previous, self._previous = self._previous, None
        if staying == alive:
            return hidden_states
        if previous is None:
            raise UsageError(
                f"before_layer({stage.layer}) came without before_layer({stage.layer - 1}): call it before every layer, "
                "in order, because a stage compares two layers' inputs"
            )
        device = hidden_states.device  # layers may be on several devices
        self._candidates, self._real = self._candidates.to(device), self._real.to(device)
        context = self._context(stage, staying, hidden_states, *previous)
        with torch.no_grad():  # choosing tokens is not differentiable
            scores = self.method.score(context).float()
            self.nonfinite.append((~scores.isfinite() & self._candidates).sum())
        chosen, hidden_states = self.method.choose(context, scores)
        keep = chosen | (self._real & ~self._candidates)
        self._real_counts = [
            real - before + after for real, before, after in zip(self._real_counts, alive, staying, strict=True)
        ]
        selected = self._selected[stage.layer] = KeptTokens.select(keep, self._real_counts)
        self._candidate_counts = staying
        self._candidates = self._still(self._candidates, selected)
        self._real = self._still(self._real, selected)
        self.rows = selected.within(self.rows)
        return selected.gather(hidden_states)

    def _context(
        self, stage: Stage, staying: list[int], current: Tensor, previous: Tensor, probe: LayerProbe | None
    ) -> StageContext:
        device, every = current.device, KeptTokens.every(0, self.length, self._candidates)
        rows = every if self.rows is None else self.rows
        index, rank = rows.positions.to(self.vision_mask.device), (self.vision_mask.cumsum(1) - 1).clamp(min=0)
        vision = self.vision_mask.gather(1, index).to(device) & self._real
        vision_counts = zip(self._never_dropped, self._candidate_counts, strict=True)
        return StageContext(
            layer=stage.layer,
            previous=previous.to(device),
            current=current,
            index=rows.positions.to(device),
            real=self._real,
            vision=vision,
            candidates=self._candidates,
            rank=rank.gather(1, index).to(device),
            staying=staying,
            text_counts=[real - sum(alive) for real, alive in zip(self._real_counts, vision_counts, strict=True)],
            probe=probe,
        )

    def replay(self, layer: int, hidden_states: Tensor) -> Tensor:
        """Repeat `before_layer` on the same input, for layers that are recomputed in a backward pass."""
        selected = self._selected.get(layer)
        return hidden_states if selected is None else selected.gather(hidden_states)

    @staticmethod
    def _still(mask: Tensor, selected: KeptTokens) -> Tensor:
        mask = mask.gather(1, selected.positions)
        return mask if selected.is_token is None else mask & selected.is_token

    def gather(self, tensor: Tensor, dim: int = 1) -> Tensor:
        """Take the tokens that are left from a tensor over original positions; see `KeptTokens.gather`."""
        return tensor if self.rows is None else self.rows.gather(tensor, dim)

    def restore(self, hidden_states: Tensor) -> Tensor:
        """Put the last layer's output [B, Q, H] at its original positions [B, S, H], with zeros for dropped tokens."""
        return hidden_states if self.rows is None else self.rows.scatter(hidden_states, self.length)


def check_masks(vision_mask: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Check both masks and return where the real tokens are, bool [B, S]. Raises VisionMaskError."""
    if not isinstance(vision_mask, Tensor) or vision_mask.dtype != torch.bool or vision_mask.ndim != 2:
        found = f"{vision_mask.dtype} {list(vision_mask.shape)}" if isinstance(vision_mask, Tensor) else vision_mask
        raise VisionMaskError(
            f"vision mask is {found!r}: it is a bool tensor [batch, sequence]; see v2drop docs limits"
        )
    if attention_mask is None:
        return torch.ones_like(vision_mask)
    if attention_mask.shape != vision_mask.shape:
        raise VisionMaskError(
            f"attention mask is {list(attention_mask.shape)} but the vision mask is {list(vision_mask.shape)}: both run "
            "over the columns of this call; see v2drop docs limits"
        )
    return attention_mask.to(vision_mask.device).bool()
