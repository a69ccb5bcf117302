"""The runs of an evaluation: the dense model, and each method at each preset and budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from v2drop import Schedule
from v2drop_loading.checkpoints import Checkpoint
from v2drop_loading.schedules import DENSE, Decoder, choose_schedule, read_keep
from v2drop_terminal.errors import CommandError


@dataclass(frozen=True)
class Choice:
    """A method and how much it keeps, as options of the lmms-eval plug-in; see `choose_schedule` for a method alone.

    Attributes:
        stages: in the format of `parse_stages`, with + in place of commas.
        schedule: path of a schedule file.
    """

    method: str
    preset: str | None = None
    retained: float | None = None
    stages: str | None = None
    schedule: str | None = None

    def __post_init__(self) -> None:
        if self.schedule is not None and set(self.schedule) & {",", "="}:
            raise CommandError(f"--schedule {self.schedule}: lmms-eval accepts no path with a comma or an equals sign")

    @property
    def label(self) -> str:
        """A name that distinguishes it from the other choices."""
        share = None if self.retained is None else f"{self.retained:g}"
        file = self.schedule and Path(self.schedule).stem
        return " ".join(filter(None, (self.method, self.preset, share, self.stages, file)))

    @property
    def options(self) -> dict[str, Any]:
        """As options of the lmms-eval plug-in's models."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def schedule_on(self, checkpoint: Checkpoint, decoder: Decoder) -> Schedule:
        """The schedule on a model. Raises the errors of `read_keep` and `choose_schedule`."""
        file = None if self.schedule is None else Path(self.schedule)
        keep = read_keep(self.preset, self.retained, self.stages, file, budget="--retained")
        return choose_schedule(self.method, decoder, keep, checkpoint.schedule)


def list_choices(
    methods: Sequence[str],
    presets: Sequence[str] = (),
    budgets: Sequence[float] = (),
    stages: Sequence[str] = (),
    files: Sequence[Path] = (),
) -> list[Choice]:
    """Dense, then each method at each preset, budget and schedule, by default that of `choose_schedule`."""
    choices = [Choice(DENSE)]
    for method in methods:
        if method != DENSE:
            keeps: list[dict[str, Any]] = [{"preset": preset} for preset in presets]
            keeps += [{"retained": budget} for budget in budgets]
            keeps += [{"stages": re.sub(r"\s*,\s*", "+", text.strip())} for text in stages]
            keeps += [{"schedule": str(file.resolve())} for file in files]
            choices += [Choice(method, **keep) for keep in keeps or [{}]]
    choices = list(dict.fromkeys(choices))
    for number, choice in enumerate(choices):
        if choice.label in {other.label for other in choices[:number]}:
            raise CommandError(f"two schedules are named {choice.label}: rename one of the files")
    return choices
