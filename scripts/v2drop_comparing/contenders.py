"""The contenders of a comparison: each method at each budget, with a schedule that is fair to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import v2drop
from v2drop import Schedule
from v2drop_loading.methods import BASELINE, attach_method
from v2drop_loading.schedules import DENSE, Decoder, Keep, choose_schedule


@dataclass(frozen=True)
class Contender:
    """A method at a budget (None: dense, the stock model) and its schedule, or why its cuts cannot reach the budget.

    `draw` numbers the seeds of random, which may take part with several.
    """

    method: str
    budget: float | None
    schedule: Schedule | None
    error: str | None = None
    draw: int = 0

    @property
    def key(self) -> tuple[str, float | None, int]:
        """Its unique key among the contenders."""
        return self.method, self.budget, self.draw

    def attach(self, model: Any, seed: int, questions: Sequence[int]) -> v2drop.Attachment:
        """Attach this method for a batch of these questions, until the attachment is exited or detached."""
        return attach_method(model, self.schedule, self.method, seed + self.draw, questions)


def choose_contenders(
    names: Sequence[str],
    budgets: Sequence[float],
    decoder: Decoder,
    recommended: Schedule | None,
    schedule: Schedule | None = None,
    random_seeds: int = 1,
) -> list[Contender]:
    """Dense, then each method at each budget, or with one schedule for all; random always takes part, once per seed.

    Raises:
        MethodError: an unknown method.
        ScheduleError: the one schedule does not fit the depth.
    """
    keeps = [(budget, Keep(retain=budget)) for budget in budgets]
    if schedule is not None:
        keeps = [(schedule.retained(decoder.layers), Keep(schedule=schedule))]
    contenders = [Contender(DENSE, None, Schedule([]))]
    for name in dict.fromkeys([*names, BASELINE]):
        if name == DENSE:
            continue
        for budget, keep in keeps:
            draws = range(random_seeds if name == BASELINE else 1)
            try:
                chosen = choose_schedule(name, decoder, keep, recommended)
                contenders += [Contender(name, budget, chosen, draw=draw) for draw in draws]
            except v2drop.ScheduleError as error:
                contenders.append(Contender(name, budget, None, str(error)))
    return contenders


def unfairness(contender: Contender, retained: float, vision_tokens: int, samples: int, num_layers: int) -> str | None:
    """What is wrong if the retained share misses the budget by more than 1 % of it and rounding to whole tokens.

    Args:
        retained: the measured share.
        vision_tokens: their number in all samples together.
        samples: the number of samples.
    """
    assert contender.schedule is not None
    budget = 1.0 if contender.budget is None else contender.budget
    lost, rounded, starts = 0.0, 0.0, [stage.layer for stage in contender.schedule.stages]
    for stage, stop in zip(contender.schedule.stages, [*starts[1:], num_layers], strict=False):
        lost = lost * stage.keep + max(
            1, contender.schedule.min_tokens
        )  # cuts round, or keep a sample's last token or the minimum
        rounded += lost * (stop - stage.layer)
    allowed = 0.01 * budget + samples * rounded / (num_layers * max(1, vision_tokens))
    if abs(retained - budget) <= allowed:
        return None
    return f"retained {retained:.4f} instead of {budget:.4f}: more than rounding explains"
