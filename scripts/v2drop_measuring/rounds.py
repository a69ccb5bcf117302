"""Interleaved rounds of what is compared, and what many rounds say: medians, quartiles, and growth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from statistics import linear_regression, median, quantiles
from typing import Any, TypeVar

from .timing import now

T = TypeVar("T")
WIDEST = 0.25  # of a ratio: with quartiles further apart it says nothing
UNCLEAR = "unclear"


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = now()
    call()
    return now() - started


def in_turns(ways: Mapping[str, Callable[[], T]], number: int) -> dict[str, T]:
    """One interleaved round; each round starts with another way, so that none is always first."""
    names = list(ways)
    first = number % len(names)
    return {name: ways[name]() for name in names[first:] + names[:first]}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of two values or more."""
    low, _, high = quantiles(values, n=4, method="inclusive")  # else those of two values lie outside of them
    return {"median": median(values), "quartiles": [low, high]}


def spread_of_ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of ratios, each taken within a round."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def clear_ratio(median: float, quartiles: Sequence[float] | None, pattern: str = "{:.2f}") -> str:
    """A ratio, where its quartiles are known and lie near each other; else that they do not."""
    near = quartiles is not None and quartiles[1] - quartiles[0] <= WIDEST * median
    return pattern.format(median) if near else UNCLEAR


def exponent(lengths: Sequence[int], costs: Sequence[float]) -> float:
    """The p for which costs grow as length ** p, fitted to logarithms by least squares; two different lengths or more."""
    return linear_regression([log(length) for length in lengths], [log(cost) for cost in costs]).slope
