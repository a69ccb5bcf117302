"""How sure one may be of accuracies: intervals of one and of a ratio, and a test of two on the same questions. Needs scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence


def wilson_interval(right: int, asked: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927). From 0 to 1 where nothing was asked."""
    if not asked:
        return 0.0, 1.0
    from scipy.stats import binomtest

    interval = binomtest(right, asked).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def ratio_interval(
    ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Wald's interval of the ratio of two shares on the same questions (Fagerland, Lydersen and Laake 2014).

    Args:
        ours: whether each question was answered right by one, or the share of its tries.
        theirs: the same questions by the other, whose share is divided by.

    Returns:
        The lower and the upper end; None where one of the two answered nothing right.
    """
    pairs = list(zip(ours, theirs, strict=True))
    right, reference = sum(ours), sum(theirs)
    if not right or not reference:
        return None
    from scipy.stats import norm

    uneven = sum(one * (1 - other) + other * (1 - one) for one, other in pairs)
    width = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(uneven / (right * reference))
    return right / reference * math.exp(-width), right / reference * math.exp(width)


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """The exact two-sided p-value of McNemar's test: how likely so uneven a split of the questions on which two differ is.

    Args:
        ours: whether each question was answered right by one.
        theirs: the same questions by the other.

    Raises:
        ValueError: different numbers of questions.
    """
    pairs = list(zip(ours, theirs, strict=True))
    won, lost = sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs)
    if not won + lost:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost, 0.5).pvalue)
