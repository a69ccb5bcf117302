"""Who takes part in a comparison: each method at each budget, with a schedule that is fair to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import v2drop
from v2drop import Method, Schedule
from v2drop.methods.random import Random

from .method_names import find_method
from .schedules import DENSE, Decoder, Keep, choose_schedule

BASELINE = "random"  # what every method is tested against


@dataclass(frozen=True)
class Entrant:
    """A method at a budget (None: dense, the stock model) and its schedule, or why its cuts cannot reach the budget.

    `draw` counts the seeds of random, which may take part with several.
    """

    method: str
    budget: float | None
    schedule: Schedule | None
    error: str | None = None
    draw: int = 0

    @property
    def key(self) -> tuple[str, float | None, int]:
        """What tells it from the others."""
        return self.method, self.budget, self.draw


def choose_entrants(
    names: Sequence[str],
    budgets: Sequence[float],
    decoder: Decoder,
    recommended: Schedule | None,
    schedule: Schedule | None = None,
    random_seeds: int = 1,
) -> list[Entrant]:
    """Dense, then each method at each budget, or by one schedule for all of them; random is always there, once for each seed.

    Raises:
        MethodError: an unknown method.
        ScheduleError: the one schedule does not fit the depth.
    """
    keeps = [(budget, Keep(retain=budget)) for budget in budgets]
    if schedule is not None:
        keeps = [(schedule.retained(decoder.layers), Keep(schedule=schedule))]
    entrants = [Entrant(DENSE, None, Schedule([]))]
    for name in dict.fromkeys([*names, BASELINE]):
        if name == DENSE:
            continue
        for budget, keep in keeps:
            draws = range(random_seeds if name == BASELINE else 1)
            try:
                chosen = choose_schedule(name, decoder, keep, recommended)
                entrants += [Entrant(name, budget, chosen, draw=draw) for draw in draws]
            except v2drop.ScheduleError as error:
                entrants.append(Entrant(name, budget, None, str(error)))
    return entrants


def seeded(method: str | Method, seed: int, questions: Sequence[int]) -> Method:
    """The method for a batch of these questions: random chooses anew for each of them, whatever batch it is in."""
    if method == BASELINE:
        return Random([(seed << 32) + number for number in questions])
    return find_method(method) if isinstance(method, str) else method


def unfairness(entrant: Entrant, retained: float, vision_tokens: int, samples: int, num_layers: int) -> str | None:
    """What is wrong where the share retained is not the budget's, within 1 % of it and rounding to whole tokens.

    Args:
        retained: the share that was measured.
        vision_tokens: of all samples together.
        samples: how many samples there were.
    """
    assert entrant.schedule is not None
    budget = 1.0 if entrant.budget is None else entrant.budget
    lost, rounded, starts = 0.0, 0.0, [stage.layer for stage in entrant.schedule.stages]
    for stage, stop in zip(entrant.schedule.stages, [*starts[1:], num_layers], strict=False):
        lost = lost * stage.keep + max(
            1, entrant.schedule.min_tokens
        )  # cuts round, or keep a sample's last or the least
        rounded += lost * (stop - stage.layer)
    allowed = 0.01 * budget + samples * rounded / (num_layers * max(1, vision_tokens))
    if abs(retained - budget) <= allowed:
        return None
    return f"retained {retained:.4f} instead of {budget:.4f}: further off than rounding explains"
