"""Interleaved rounds of measurements, and their statistics: medians, quartiles and growth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log
from statistics import linear_regression, median, quantiles
from typing import Any, TypeVar

from .timing import now

T = TypeVar("T")
WIDEST = 0.25  # share of a ratio's median: with quartiles further apart, the ratio is unclear
UNCLEAR = "unclear"


def seconds(call: Callable[[], Any]) -> float:
    """The duration of a call."""
    started = now()
    call()
    return now() - started


def in_turns(ways: Mapping[str, Callable[[], T]], number: int) -> dict[str, T]:
    """Run one interleaved round; each round starts with another way, so that none is always first."""
    names = list(ways)
    first = number % len(names)
    return {name: ways[name]() for name in names[first:] + names[:first]}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of two or more values."""
    low, _, high = quantiles(values, n=4, method="inclusive")  # the default goes outside of two values
    return {"median": median(values), "quartiles": [low, high]}


def spread_of_ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of ratios, each taken within a round."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def clear_ratio(median: float, quartiles: Sequence[float] | None, pattern: str = "{:.2f}") -> str:
    """A ratio as text if its quartiles are known and close together, otherwise `UNCLEAR`."""
    near = quartiles is not None and quartiles[1] - quartiles[0] <= WIDEST * median
    return pattern.format(median) if near else UNCLEAR


def exponent(lengths: Sequence[int], costs: Sequence[float]) -> float:
    """The p for which costs grow as length ** p: a least-squares fit to logarithms of two or more different lengths."""
    return linear_regression([log(length) for length in lengths], [log(cost) for cost in costs]).slope
