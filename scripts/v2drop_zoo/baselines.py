"""Other ways to choose tokens, for the model card: they stand beside V2Drop's, in the same places and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from v2drop.variation import METRICS

GOLDEN = (5**0.5 - 1) / 2


def smallest_variation(current: Tensor, previous: Tensor) -> Tensor:
    """V2Drop the wrong way round: what changed least stays."""
    return -METRICS["l2"](current, previous)


def random(current: Tensor, previous: Tensor) -> Tensor:
    """Any token may stay; seeded by torch's generator."""
    return torch.rand(current.shape[:2], device=current.device)


def uniform(current: Tensor, previous: Tensor) -> Tensor:
    """Evenly spaced tokens: those of the largest fractional part of position times the golden ratio."""
    places = torch.arange(current.shape[1], device=current.device, dtype=torch.float64) * GOLDEN
    return (places % 1).float().expand(current.shape[:2])


BASELINES = {"smallest variation": smallest_variation, "random": random, "uniform": uniform}


@contextmanager
def baselines_as_metrics() -> Iterator[None]:
    """Let `attach(metric=...)` take the baselines' names too."""
    METRICS.update(BASELINES)
    try:
        yield
    finally:
        for name in BASELINES:
            del METRICS[name]
