"""Where kept tokens lie in the sequence: a method that favours late tokens, whatever they show, has a position bias."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from v2drop import DropReport

BINS = 10


def kept_places(report: DropReport, vision_mask: Tensor) -> dict[str, Any]:
    """Positions of the tokens kept after each stage among their sample's vision tokens, from 0 (first) to 1 (last).

    Args:
        report: the report of a call on an empty cache.
        vision_mask: bool [B, S], the call's vision tokens.

    Returns:
        By stage layer (as a string, for JSON): the number of kept tokens, and the sum and histogram of their positions.
    """
    mask = vision_mask.cpu()
    places = (mask.cumsum(1) - 1) / (mask.sum(1, keepdim=True) - 1).clamp(min=1)
    stages = {}
    for layer, samples in report.kept.items():
        kept = torch.cat([places[sample, columns] for sample, columns in enumerate(samples)]).double()
        bins = (kept * BINS).long().clamp(max=BINS - 1).bincount(minlength=BINS)
        stages[str(layer)] = {"count": len(kept), "sum": float(kept.sum()), "histogram": bins.tolist()}
    return stages


def summarise(batches: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Mean and histogram (shares) of many batches' positions, over all stages and for each; None if nothing was kept.

    Over all stages, a token counts once for each stage that it survived.
    """
    stages: dict[str, list[dict[str, Any]]] = {}
    for batch in batches:
        for layer, places in batch.items():
            stages.setdefault(layer, []).append(places)
    every = _pooled([places for each in stages.values() for places in each])
    if every is None:
        return None
    by_stage = [{"layer": int(layer), **pooled} for layer, each in stages.items() if (pooled := _pooled(each))]
    return {**every, "stages": by_stage}


def _pooled(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    count = sum(part["count"] for part in parts)
    if not count:
        return None
    bins = [sum(column) / count for column in zip(*(part["histogram"] for part in parts), strict=True)]
    return {"mean": sum(part["sum"] for part in parts) / count, "histogram": bins}
