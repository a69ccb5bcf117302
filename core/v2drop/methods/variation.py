"""How much a token changed across one layer: the score by which V2Drop keeps tokens (arXiv 2509.01552, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import MetricError, UsageError


def _l2(current: Tensor, previous: Tensor) -> Tensor:
    return torch.linalg.vector_norm(current.float() - previous, dim=-1)


def _l1(current: Tensor, previous: Tensor) -> Tensor:
    return torch.linalg.vector_norm(current.float() - previous, ord=1, dim=-1)


def _cosine(current: Tensor, previous: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(current.float(), previous.float(), dim=-1)


METRICS = {"l2": _l2, "l1": _l1, "cosine": _cosine}


def check_metric(metric: str) -> None:
    """Raise MetricError unless `metric` is known."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise MetricError(f"unknown metric {metric!r}: use one of {', '.join(METRICS)} (v2drop docs methods)")


def token_variation(current: Tensor, previous: Tensor, metric: str = "l2") -> Tensor:
    """Variation of each token: the distance between its hidden states before layer L and before layer L-1.

    Args:
        current: input of layer L, float [B, N, H] of any dtype.
        previous: input of layer L-1 for the same tokens, [B, N, H].
        metric: "l2" (the paper's), "l1", or "cosine" (1 - cosine similarity).

    Returns:
        float32 [B, N]; larger means that the token changed more. Accumulated in float32 whatever the input's dtype:
        in bfloat16 most scores of a picture would be equal.

    Raises:
        MetricError: unknown metric.
        UsageError: the two inputs differ in shape.
    """
    check_metric(metric)
    if current.shape != previous.shape:
        raise UsageError(
            f"current is {list(current.shape)} but previous is {list(previous.shape)}: compare the same tokens"
        )
    return METRICS[metric](current, previous)
