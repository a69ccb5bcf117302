"""The score: how much a token changed."""

from __future__ import annotations

import pytest
import torch

from v2drop import MetricError, UsageError, token_variation


def pair(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 5, 16, generator=generator).to(dtype) for _ in range(2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_l2_is_the_norm_of_the_difference_in_float32(dtype):
    current, previous = pair(dtype)
    scores = token_variation(current, previous)
    assert scores.dtype == torch.float32
    expected = (current.double() - previous.double()).pow(2).sum(-1).sqrt()
    torch.testing.assert_close(scores.double(), expected, rtol=1e-6, atol=0)


def test_l1_and_cosine():
    current, previous = pair()
    torch.testing.assert_close(token_variation(current, previous, "l1"), (current - previous).abs().sum(-1))
    expected = 1 - (current * previous).sum(-1) / current.norm(dim=-1) / previous.norm(dim=-1)
    torch.testing.assert_close(token_variation(current, previous, "cosine"), expected)


def test_unknown_metric_and_different_shapes_are_refused():
    current, previous = pair()
    with pytest.raises(MetricError, match=r"l3.*l2, l1, cosine"):
        token_variation(current, previous, "l3")
    with pytest.raises(UsageError, match=r"\[2, 4, 16\]"):
        token_variation(current, previous[:, :4])
