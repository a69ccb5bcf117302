"""Uncertainty of accuracies: intervals for one or a ratio, and a test of two on the same questions. Needs scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence


def wilson_interval(right: float, asked: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson 1927). From 0 to 1 if nothing was asked.

    `right` may be a mean over several tries, which count as one.
    """
    return _wilson(right, asked, _quantile(confidence)) if asked else (0.0, 1.0)


def ratio_interval(
    ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Bonett and Price's interval for the ratio of two shares on the same questions (2006; Fagerland et al. 2014).

    It combines two Wilson intervals, and keeps its coverage when both shares are near 1.

    Args:
        ours: whether one method answered each question right, or the share of its tries that did.
        theirs: the same for the other method, whose share is the denominator.

    Returns:
        The lower and upper bounds; None if the other method answered nothing right.
    """
    pairs = list(zip(ours, theirs, strict=True))
    right, reference = sum(ours), sum(theirs)
    if not reference:
        return None
    uneven = sum(one * (1 - other) + other * (1 - one) for one, other in pairs)
    either = right + sum(other * (1 - one) for one, other in pairs)  # questions that at least one answered right

    def spread(known: float) -> float:
        return math.sqrt((1 - (known + 1) / (either + 2)) / (known + 1))

    together = math.sqrt((uneven + 2) / ((right + 1) * (reference + 1)))
    z = _quantile(confidence) * together / (spread(right) + spread(reference))
    low, high = _wilson(right, either, z)
    least, most = _wilson(reference, either, z)
    return low / most, high / least


def _quantile(confidence: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))


def _wilson(right: float, asked: float, z: float) -> tuple[float, float]:
    middle, width = 2 * right + z * z, z * math.sqrt(z * z + 4 * right * (1 - right / asked))
    return (middle - width) / (2 * (asked + z * z)), (middle + width) / (2 * (asked + z * z))


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """The exact two-sided p-value of McNemar's test: how likely so uneven a split of their differing answers is.

    Args:
        ours: whether one method answered each question right.
        theirs: the same for the other method.

    Raises:
        ValueError: different numbers of questions.
    """
    pairs = list(zip(ours, theirs, strict=True))
    won, lost = sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs)
    if not won + lost:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost, 0.5).pvalue)
