"""What an evaluation runs: the dense model, and each method at each preset and budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from v2drop import Schedule
from v2drop.methods import make_method

from .checkpoints import Checkpoint
from .entrants import DENSE, method_schedule


@dataclass(frozen=True)
class Choice:
    """A method and how much it keeps: a preset, a share, or neither: what the model recommends, else a third."""

    method: str
    preset: str | None = None
    retained: float | None = None

    @property
    def label(self) -> str:
        """What tells it from the others."""
        share = None if self.retained is None else f"{self.retained:g}"
        return " ".join(filter(None, (self.method, self.preset, share)))

    @property
    def options(self) -> dict[str, Any]:
        """As options of the lmms-eval plug-in's models."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def schedule(self, checkpoint: Checkpoint, num_layers: int) -> Schedule:
        """For a budget, with the same cuts as in `v2drop compare-methods`.

        Raises:
            V2DropError: an unknown method or preset, both a preset and a share, or what the model's depth does not allow.
        """
        if self.method == DENSE:
            return Schedule([])
        make_method(self.method)  # refuses what there is not
        if self.retained is not None and self.preset is None:
            return method_schedule(self.method, self.retained, num_layers, checkpoint.recommended_layers)
        schedule = checkpoint.choose_schedule(num_layers, self.preset, self.retained)
        schedule.check_depth(num_layers)
        return schedule


def list_choices(methods: Sequence[str], presets: Sequence[str], budgets: Sequence[float]) -> list[Choice]:
    """Dense, then each method at each preset and budget, or as the model recommends."""
    choices = [Choice(DENSE)]
    for method in methods:
        if method != DENSE:
            choices += [Choice(method, preset=preset) for preset in presets]
            choices += [Choice(method, retained=budget) for budget in budgets]
            choices += [] if presets or budgets else [Choice(method)]
    return choices
