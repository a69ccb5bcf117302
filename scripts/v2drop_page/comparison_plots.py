"""Plots of a comparison, for one model: accuracy against budget, time and FLOPs, latency, memory, and where kept tokens lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from v2drop_loading.schedules import DENSE
from v2drop_measuring.position_bias import BINS

from .plots import INK, Plot, add_legend, colour, listed, marker, new_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
BARS = (
    ("prefill_ms", 1.0, "Prefill, with quartiles", "ms"),
    ("decode_ms", 1.0, "Decode, with quartiles", "ms"),
    ("total_ms", 1.0, "Prefill and decode together", "ms"),
    ("peak_bytes", 1e-6, "Peak memory", "MB"),
    ("working_bytes", 1e-6, "Working memory: peak minus memory held at rest", "MB"),
    ("kv_bytes", 1e-3, "KV cache", "kB"),
)


COSTS = (
    ("total_ms", 1.0, "time", "prefill and decode together, ms"),
    ("flops", 1e-6, "FLOPs", "FLOPs of a prefill, millions"),
)


def comparison_plots(rows: Sequence[Row], name: str) -> list[Plot]:
    """All plots that have data, in the style set by `plot_style`.

    Args:
        rows: the rows of one model, as in results; None was not measured.
        name: the start of the plots' names, which sets them apart from those of other models.
    """
    plots = [_accuracy(rows, f"{name}-accuracy")]
    for field, scale, title, unit in COSTS:
        plots.append(_accuracy_at_cost(rows, field, scale, title, unit, f"{name}-accuracy-{title.lower()}"))
    for field, scale, title, unit in BARS:
        plots.append(_bars(rows, field, scale, title, unit, f"{name}-{field.replace('_', '-')}"))
    plots += [_mean_places(rows, f"{name}-place"), _histograms(rows, f"{name}-histogram")]
    return [plot for plot in plots if plot is not None]


def _dense(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row["method"] == DENSE), None)


def _by_method(rows: Sequence[Row], field: str) -> dict[str, list[Row]]:
    """The rows of each method except dense that have a field, by increasing budget."""
    found: dict[str, list[Row]] = {}
    for row in sorted((row for row in rows if row["budget"] is not None), key=lambda row: row["budget"]):
        if row[field] is not None:
            found.setdefault(row["method"], []).append(row)
    order = [row["method"] for row in rows]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _accuracy(rows: Sequence[Row], name: str) -> Plot | None:
    methods, dense = _by_method(rows, "accuracy"), _dense(rows)
    if not methods:
        return None
    figure, axes = new_plot(3.6, "share of vision tokens retained", "right answers, %")
    told = []
    if dense is not None and dense["accuracy"] is not None:
        axes.axhline(100 * dense["accuracy"], color=INK, linestyle="--", linewidth=1, label=DENSE)
        if dense["interval"] is not None:
            axes.axhspan(*(100 * edge for edge in dense["interval"]), color=INK, alpha=0.08, linewidth=0)
        told.append(f"dense {dense['accuracy']:.1%}")
        if dense["accuracy"] > 0:
            factor = dense["accuracy"]
            share = axes.secondary_yaxis("right", functions=(lambda y: y / factor, lambda y: y * factor))
            share.set_ylabel("share of dense, %")
    for method, found in methods.items():
        across = [row["budget"] if row["retained"] is None else row["retained"] for row in found]
        shade = colour(method)
        banded = [(x, row["interval"]) for x, row in zip(across, found, strict=True) if row["interval"] is not None]
        if banded:
            low, high = ([100 * interval[side] for _, interval in banded] for side in (0, 1))
            axes.fill_between([x for x, _ in banded], low, high, alpha=0.14, linewidth=0, color=shade)
        up = [100 * row["accuracy"] for row in found]
        axes.plot(across, up, marker=marker(method), markersize=4.5, linewidth=1.8, label=method, color=shade)
        told.append(", ".join([method, *(f"{row['accuracy']:.1%} at {row['budget']:g}" for row in found)]))
    add_legend(figure, axes)
    title = "Accuracy against budget, with 95 % intervals"
    return Plot(figure, name, title, f"Right answers against the share retained: {listed(told)}")


def _accuracy_at_cost(rows: Sequence[Row], field: str, scale: float, title: str, unit: str, name: str) -> Plot | None:
    methods, dense = _by_method([row for row in rows if row["accuracy"] is not None], field), _dense(rows)
    if not methods:
        return None
    figure, axes = new_plot(3.6, unit, "right answers, %")
    told = []
    if dense is not None and dense["accuracy"] is not None and dense[field] is not None:
        methods = {DENSE: [dense], **methods}
    for method, found in methods.items():
        across, up = [row[field] * scale for row in found], [100 * row["accuracy"] for row in found]
        axes.plot(across, up, marker=marker(method), markersize=4.5, linewidth=1.2, label=method, color=colour(method))
        told.append(", ".join([method, *(f"{y:.1f} % at {x:.4g}" for x, y in zip(across, up, strict=True))]))
    add_legend(figure, axes)
    alt = f"Right answers against {unit}, one mark per budget: {listed(told)}"
    return Plot(figure, name, f"Accuracy against {title}, one mark per budget", alt)


def _bars(rows: Sequence[Row], field: str, scale: float, title: str, unit: str, name: str) -> Plot | None:
    methods, dense = _by_method(rows, field), _dense(rows)
    if not methods:
        return None
    figure, axes = new_plot(3.0, "budget", unit)
    budgets = sorted({row["budget"] for found in methods.values() for row in found})
    width, told = 0.84 / len(methods), []
    if dense is not None and dense[field] is not None:
        axes.axhline(dense[field] * scale, color=INK, linestyle="--", linewidth=1, label=DENSE)
        told.append(f"dense {dense[field] * scale:.4g}")
    for number, (method, found) in enumerate(methods.items()):
        shift = (number - (len(methods) - 1) / 2) * width
        places = [budgets.index(row["budget"]) + shift for row in found]
        values = [row[field] * scale for row in found]
        axes.bar(places, values, width * 0.92, color=colour(method), label=method)
        _error_bars(axes, places, found, field)
        told.append(
            ", ".join([method, *(f"{y:.4g} at {row['budget']:g}" for y, row in zip(values, found, strict=True))])
        )
    axes.grid(False, axis="x")
    axes.set_xticks(range(len(budgets)), [f"{budget:g}" for budget in budgets])
    add_legend(figure, axes)
    return Plot(figure, name, title, f"{title} in {unit} by method and budget: {listed(told)}")


def _error_bars(axes: Axes, places: Sequence[float], rows: Sequence[Row], field: str) -> None:
    """Draw the quartiles of times, if there are any."""
    quartiles = f"{field.removesuffix('_ms')}_quartiles"
    measured = [(x, row[quartiles]) for x, row in zip(places, rows, strict=True) if row.get(quartiles) is not None]
    if measured:
        axes.vlines(
            [x for x, _ in measured], *zip(*(ends for _, ends in measured), strict=True), color=INK, linewidth=0.8
        )


def _mean_places(rows: Sequence[Row], name: str) -> Plot | None:
    methods = _by_method(rows, "position")
    if not methods:
        return None
    figure, axes = new_plot(3.0, "mean position of kept tokens: 0 first, 1 last")
    axes.axvline(0.5, color=INK, linestyle="--", linewidth=1)
    budgets, told = sorted({row["budget"] for found in methods.values() for row in found}), []
    for number, (method, found) in enumerate(methods.items()):
        means = [row["position"]["mean"] for row in found]
        sizes = [20 + 60 * row["budget"] / max(budgets) for row in found]
        axes.scatter(means, [number] * len(means), sizes, color=colour(method), marker=marker(method), alpha=0.75)
        told.append(
            ", ".join([method, *(f"{x:.3f} at {row['budget']:g}" for x, row in zip(means, found, strict=True))])
        )
    axes.set_yticks(range(len(methods)), list(methods))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    alt = f"Mean position of kept tokens by method and budget: {listed(told)} 0.5 means no bias."
    return Plot(figure, name, "Position bias (larger marks: larger budgets)", alt)


def _histograms(rows: Sequence[Row], name: str) -> Plot | None:
    methods = {method: found[0] for method, found in _by_method(rows, "position").items()}
    methods = {method: row for method, row in methods.items() if row["position"].get("histogram")}
    if not methods:
        return None
    figure, axes = new_plot(3.0, "position in the sequence: 0 first, 1 last", "share of kept tokens, %")
    axes.axhline(100 / BINS, color=INK, linestyle="--", linewidth=1, label="no bias")
    for method, row in methods.items():
        shares = [100 * share for share in row["position"]["histogram"]]
        centres = [(number + 0.5) / len(shares) for number in range(len(shares))]
        label = f"{method} at {row['budget']:g}"
        axes.plot(centres, shares, color=colour(method), marker=marker(method), markersize=4, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    add_legend(figure, axes)
    told = [
        f"{method} at {row['budget']:g}: " + ", ".join(f"{100 * share:.0f}" for share in row["position"]["histogram"])
        for method, row in methods.items()
    ]
    alt = f"Kept tokens in tenths of the sequence, %: {listed(told)}"
    return Plot(figure, name, "Where kept tokens lie, at each method's smallest budget", alt)
