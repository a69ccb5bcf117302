"""Nothing is left out that the stock models can do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fuzz.play import play
from fuzz.stock_limits import LIMITS, limit_of


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.reason)
def test_what_is_left_out_fails_on_the_stock_model(limit):
    assert limit_of(limit.example) is limit
    assert fails(limit.example), f"the stock model can do it: take the limit out, {limit.reason}"


def fails(combination):
    """Whether the stock model raises, or gives something else with a plain cache or none."""
    case, model = combination.case(), combination.subject.model(combination.attention)
    try:
        found = play(combination, model, case)
    except Exception:
        return True
    others = [play(combination, model, case, plainly=True)]
    if combination.mode != "forward" and combination.later_media is None:
        others.append(play(replace(combination, cache="none"), model, case))
    return not all(same(found, other) for other in others)


def same(found, wanted):
    return all(torch.allclose(*both, atol=1e-4, rtol=1e-4) for both in zip(found, wanted, strict=True))
