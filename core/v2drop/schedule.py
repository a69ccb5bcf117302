"""When tokens are dropped and how many stay: stages, schedules, presets and budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from .errors import ScheduleError

READ_ON = "see v2drop docs schedules"
PAPER_DEPTHS = (3 / 32, 17 / 32, 22 / 32)  # V2Drop cuts LLaVA-1.5's 32 layers before layers 3, 17 and 22


@dataclass(frozen=True)
class Stage:
    """Just before decoder layer `layer` (0-based) runs, keep the share `keep` of the vision tokens still alive.

    Raises:
        ScheduleError: `layer` is not an integer of at least 1, or `keep` is not a number in [0, 1].
    """

    layer: int
    keep: float

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Integral) or isinstance(self.layer, bool):
            raise ScheduleError(f"stage at layer {self.layer!r}: a layer is an integer, 1 or more; {READ_ON}")
        if self.layer < 1:
            raise ScheduleError(
                f"stage at layer {self.layer}: the first possible stage is at layer 1, because layer 0 has no earlier "
                f"input to compare with; {READ_ON}"
            )
        if not isinstance(self.keep, Real) or isinstance(self.keep, bool) or not 0 <= self.keep <= 1:
            raise ScheduleError(f"keep={self.keep!r} at layer {self.layer}: keep is a share from 0 to 1; {READ_ON}")
        object.__setattr__(self, "layer", int(self.layer))
        object.__setattr__(self, "keep", float(self.keep))


@dataclass(frozen=True, init=False, repr=False)
class Schedule:
    """The stages of a run, in ascending layer order. Immutable.

    Args:
        stages: Stage objects or (layer, keep) pairs.
        min_tokens: the fewest vision tokens to keep at every stage (if there are that many).

    Raises:
        ScheduleError: layers are not ascending and distinct, or a value is out of range.
    """

    stages: tuple[Stage, ...]
    min_tokens: int

    def __init__(self, stages: Iterable[Stage | Sequence[float]], *, min_tokens: int = 0) -> None:
        if not isinstance(stages, Iterable):
            raise ScheduleError(f"stages={stages!r}: pass a list of (layer, keep) pairs; {READ_ON}")
        checked = tuple(_as_stage(stage) for stage in stages)
        if not isinstance(min_tokens, Integral) or isinstance(min_tokens, bool) or min_tokens < 0:
            raise ScheduleError(f"min_tokens={min_tokens!r}: it is an integer, 0 or more; {READ_ON}")
        layers = [stage.layer for stage in checked]
        if any(later <= earlier for earlier, later in pairwise(layers)):
            raise ScheduleError(f"stages at layers {layers}: layers must ascend, each at most once; {READ_ON}")
        object.__setattr__(self, "stages", checked)
        object.__setattr__(self, "min_tokens", int(min_tokens))

    def __repr__(self) -> str:
        stages = ", ".join(f"({stage.layer}, {stage.keep:g})" for stage in self.stages)
        return f"Schedule([{stages}], min_tokens={self.min_tokens})"

    @classmethod
    def preset(cls, name: str) -> Schedule:
        """A published schedule by name; `presets()` lists them. Raises ScheduleError for any other name."""
        if not isinstance(name, str) or name not in _PRESETS:
            raise ScheduleError(f"unknown preset {name!r}: there are {', '.join(_PRESETS)}; {READ_ON}")
        return _PRESETS[name]

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Names of the published schedules."""
        return tuple(_PRESETS)

    @classmethod
    def for_budget(
        cls, num_layers: int, retained: float, layers: Sequence[int] | None = None, *, drop_rest: bool = True
    ) -> Schedule:
        """The schedule that keeps the share `retained` of the vision tokens, averaged over all layers.

        As in the paper, the last stage drops all remaining tokens and the earlier stages share one ratio. If the budget
        is larger than that allows, everything is kept up to the last stage and a share from there on.

        Args:
            num_layers: decoder layers of the language model.
            retained: the budget as papers quote it: 0.333 is "192 of 576 tokens".
            layers: where to drop tokens; by default at the paper's relative depths (3, 17 and 22 of 32).
            drop_rest: whether the last stage drops all remaining tokens; if not, it has the same ratio as the others.

        Raises:
            ScheduleError: the budget is outside (0, 1] or below the cost of the layers before the first stage, or the
                layers do not fit the model.
        """
        if not isinstance(num_layers, Integral) or num_layers < 2:
            raise ScheduleError(f"num_layers={num_layers!r}: a schedule needs a model of at least 2 layers; {READ_ON}")
        if layers is not None and (not isinstance(layers, Iterable) or not tuple(layers)):
            raise ScheduleError(f"layers={layers!r}: a budget needs a list of at least one stage's layer; {READ_ON}")
        cuts = _paper_layers(num_layers) if layers is None else tuple(layers)
        cls([(layer, 1.0) for layer in cuts]).check_depth(num_layers)
        if not isinstance(retained, Real) or isinstance(retained, bool) or not 0 < retained <= 1:
            raise ScheduleError(f"retained={retained!r}: a budget is a share above 0 and up to 1; {READ_ON}")
        least = cuts[0] / num_layers
        if retained < least:
            raise ScheduleError(
                f"retained={retained!r}: with the first stage before layer {cuts[0]} of {num_layers} at least "
                f"{math.ceil(least * 1000) / 1000} is kept: keep more{' or cut earlier' * (cuts[0] > 1)}; {READ_ON}"
            )
        if not drop_rest:
            ratio = _solve_ratio((*cuts, num_layers), retained * num_layers)
            return cls([(cut, ratio) for cut in cuts])
        if retained * num_layers >= cuts[-1]:
            last = (retained * num_layers - cuts[-1]) / (num_layers - cuts[-1])
            return cls([*((cut, 1.0) for cut in cuts[:-1]), (cuts[-1], min(1.0, last))])
        ratio = _solve_ratio(cuts, retained * num_layers)
        return cls([*((cut, ratio) for cut in cuts[:-1]), (cuts[-1], 0.0)])

    def check_depth(self, num_layers: int, first_stage: int = 1) -> None:
        """Raise ScheduleError if a stage lies past the last of `num_layers` decoder layers, or before layer `first_stage`."""
        for stage in self.stages:
            if stage.layer < first_stage:
                raise ScheduleError(
                    f"stage at layer {stage.layer}: in this model nothing may be dropped before layer {first_stage}; pass a "
                    f"schedule that starts there, or a budget; {READ_ON}"
                )
            if stage.layer >= num_layers:
                raise ScheduleError(
                    f"stage at layer {stage.layer}: the model has {num_layers} decoder layers, so stages go from 1 to "
                    f"{num_layers - 1}; for another depth than a preset's, pass a budget instead; {READ_ON}"
                )

    def keep_count(self, stage: Stage, n: int) -> int:
        """How many of `n` candidates stay at a stage: min(n, max(min_tokens, int(n * keep)))."""
        return min(n, max(self.min_tokens, int(n * stage.keep)))

    def alive_after(self, n: int) -> tuple[int, ...]:
        """Vision tokens left after each stage, from `n` at the start."""
        if not isinstance(n, Integral) or n < 0:
            raise ScheduleError(f"n={n!r}: a number of vision tokens is an integer, 0 or more; {READ_ON}")
        counts = []
        for stage in self.stages:
            n = self.keep_count(stage, n)
            counts.append(n)
        return tuple(counts)

    def tokens_per_layer(self, num_layers: int, n: int) -> tuple[int, ...]:
        """Vision tokens that each of `num_layers` layers processes, from `n` at the start."""
        self.check_depth(num_layers)
        counts = [n] * num_layers
        for stage, alive in zip(self.stages, self.alive_after(n), strict=True):
            counts[stage.layer :] = [alive] * (num_layers - stage.layer)
        return tuple(counts)

    def retained(self, num_layers: int) -> float:
        """The budget: the share of vision tokens left, averaged over layers, before rounding to whole tokens."""
        self.check_depth(num_layers)
        share, total, start = 1.0, 0.0, 0
        for stage in self.stages:
            total += share * (stage.layer - start)
            share, start = share * stage.keep, stage.layer
        return (total + share * (num_layers - start)) / num_layers

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON; `from_dict` reads it back."""
        return {"stages": [[stage.layer, stage.keep] for stage in self.stages], "min_tokens": self.min_tokens}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schedule:
        """Read what `to_dict` wrote. Raises ScheduleError for anything else."""
        if not isinstance(data, dict) or "stages" not in data:
            raise ScheduleError(f"not a schedule: {data!r}; write it with Schedule.to_dict(); {READ_ON}")
        return cls(data["stages"], min_tokens=data.get("min_tokens", 0))


def _as_stage(stage: Stage | Sequence[float]) -> Stage:
    if isinstance(stage, Stage):
        return stage
    try:
        layer, keep = stage
    except (TypeError, ValueError):
        raise ScheduleError(f"stage {stage!r}: a stage is a pair (layer, keep); {READ_ON}") from None
    return Stage(layer, keep)  # type: ignore[arg-type]


def _paper_layers(num_layers: int) -> tuple[int, ...]:
    """The paper's relative depths in a model of `num_layers`: each at least 1, and distinct if the depth allows."""
    return tuple(sorted({min(num_layers - 1, max(1, round(depth * num_layers))) for depth in PAPER_DEPTHS}))


def _solve_ratio(cuts: Sequence[int], budget: float) -> float:
    """The ratio r for which the spans between cuts, weighted by powers of r, add up to `budget`; found by bisection."""
    spans = [later - earlier for earlier, later in pairwise((0, *cuts))]
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if sum(span * middle**power for power, span in enumerate(spans)) < budget:
            low = middle
        else:
            high = middle
    return high


_PRESETS = {
    "llava-1.5-192": Schedule([(3, 0.5), (17, 0.3), (22, 0.0)]),  # the paper's 192 tokens: 193.5 of 576
    "reference-llava": Schedule([(3, 0.5), (17, 0.5), (22, 0.0)], min_tokens=1),  # the published code's default
    "reference-qwen2-vl": Schedule([(3, 0.25), (16, 0.05), (22, 0.0)], min_tokens=1),
    "fastv": Schedule([(2, 0.5)]),  # K = 2, R = 50 %; with method="fastv"
    "pyramiddrop": Schedule([(8, 0.5), (16, 0.5), (24, 0.5)]),  # of 32 layers; with method="pyramiddrop"
}
