"""Plain data for the page's script: tokens, panels, variation, and what each method drops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from v2drop import VisionLayout

from .panels import Panel
from .traces import Scores, Trace


def explorer_data(
    layout: VisionLayout, panels: Sequence[Panel], variation: Tensor, traces: Sequence[Trace]
) -> dict[str, Any]:
    """The data of a page, ready for JSON.

    Args:
        layout: where the N tokens of the only sample lie.
        panels: the panels that show them.
        variation: float32 [layers - 1, N], as `traces.dense_variation` returns it.
        traces: what each method did.
    """
    depth = len(variation) + 1
    return {
        "depth": depth,
        "where": _where(layout),
        "panels": [panel._asdict() | {"shapes": _rounded(panel.shapes)} for panel in panels],
        "variation": _rounded(variation.tolist()),
        "runs": [
            {
                "method": trace.method,
                "stages": [stage.layer for stage in trace.schedule.stages],
                "gone": dropped_before(layout, trace, depth),
                "scores": _scores(layout, trace.scores),
                "varies": trace.varies,
            }
            for trace in traces
        ],
    }


def dropped_before(layout: VisionLayout, trace: Trace, depth: int) -> list[int]:
    """For each token of the first sample, the layer before which it is dropped, or `depth` if it never is."""
    gone = [depth] * len(layout.position)
    for layer, samples in sorted(trace.report.kept.items()):
        kept = set(samples[0].tolist())
        for number, column in enumerate(layout.position.tolist()):
            if gone[number] == depth and column not in kept:
                gone[number] = layer
    return gone


def _scores(layout: VisionLayout, scores: Scores) -> list[dict[str, Any]]:
    """By increasing layer, the score of each token; None if it was gone or could not be dropped."""
    stages = []
    for layer, (columns, values) in sorted(scores.items()):
        found = dict(zip(columns.tolist(), _rounded([values.tolist()])[0], strict=True))
        stages.append({"layer": layer, "values": [found.get(column) for column in layout.position.tolist()]})
    return stages


def _where(layout: VisionLayout) -> list[str]:
    places = []
    columns = zip(
        layout.row.tolist(), layout.column.tolist(), layout.tile.tolist(), layout.newline.tolist(), strict=True
    )
    for row, column, tile, newline in columns:
        place = (
            "class token" if row < 0 else f"end of row {row + 1}" if newline else f"row {row + 1}, column {column + 1}"
        )
        places.append(f"tile {tile + 1}, {place}" if tile >= 0 and not newline else place)
    return places


def _rounded(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Round to four significant digits to keep pages small. Non-finite values become 0, as JSON cannot hold them."""
    return [[float(f"{value:.4g}") if abs(value) < float("inf") else 0.0 for value in row] for row in rows]
