"""Plots about one question: tokens per layer, variation of every token at every layer, and where kept tokens lie."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from v2drop_measuring.position_bias import BINS

from .plots import INK, Plot, add_legend, as_figure, colour, listed, marker, new_plot, plot_style
from .traces import Trace


def trace_plots(traces: Sequence[Trace], variation: Tensor) -> list[str]:
    """All of them as HTML figures. `variation`: float32 [layers - 1, N] of the dense model."""
    with plot_style():
        plots = [_tokens_per_layer(traces)]
        if variation.numel():
            plots.append(_variation(variation))
        return [as_figure(plot) for plot in (*plots, *_places(traces))]


def _tokens_per_layer(traces: Sequence[Trace]) -> Plot:
    figure, axes = new_plot(across="decoder layer", up="vision tokens alive")
    depth = len(traces[0].report.tokens_per_layer)
    total = sum(traces[0].report.vision_tokens)
    axes.step([-0.5, depth - 0.5], [total, total], color=INK, linestyle="--", linewidth=1, label="dense")
    edges = [layer - 0.5 for layer in range(depth + 1)]
    for number, trace in enumerate(traces):
        width = 1.6 + 0.9 * (len(traces) - 1 - number)  # methods with the same schedule would hide each other
        alive, shade = trace.report.tokens_per_layer, colour(trace.method)
        axes.stairs(alive, edges, baseline=None, color=shade, linewidth=width, label=trace.method)
    axes.set_ylim(0, total * 1.05)
    axes.set_xlim(-0.5, depth - 0.5)
    add_legend(figure, axes)
    kept = [f"{each.method} {', '.join(f'{count:g}' for count in each.report.tokens_per_layer)}" for each in traces]
    alt = f"Vision tokens alive at each of {depth} layers, of {total}: {listed(kept)}"
    return Plot(figure, "tokens-per-layer", "Tokens per layer", alt)


def _variation(variation: Tensor) -> Plot:
    figure, axes = new_plot(across="vision token, in sequence order", up="decoder layer")
    layers, count = variation.shape
    largest = variation.amax(1, keepdim=True).clamp(min=1e-12)
    extent = (-0.5, count - 0.5, layers + 0.5, 0.5)
    shares = (variation / largest).numpy()
    axes.grid(False)
    image = axes.imshow(shares, aspect="auto", interpolation="nearest", extent=extent, vmin=0, vmax=1, cmap="viridis")
    bar = figure.colorbar(image, ax=axes, label="share of the layer's largest")
    bar.outline.set_visible(False)
    axes.set_title("each token's change across the layer before, L2")
    medians = [f"layer {layer}: {value:.3g}" for layer, value in enumerate(variation.median(1).values.tolist(), 1)]
    alt = f"Heat map of the variation of {count} vision tokens at layers 1 to {layers} of the dense model. Medians: "
    return Plot(figure, "variation", "Variation, dense model", alt + listed(medians))


def _places(traces: Sequence[Trace]) -> list[Plot]:
    measured = [trace for trace in traces if trace.position is not None]
    if not measured:
        return []
    figure, axes = new_plot(across="position in the sequence: 0 first, 1 last", up="share of kept tokens, %")
    centres = [(number + 0.5) / BINS for number in range(BINS)]
    axes.axhline(100 / BINS, color=INK, linestyle="--", linewidth=1, label="no bias")
    means = []
    for trace in measured:
        assert trace.position is not None
        mean, shares = trace.position["mean"], [100 * share for share in trace.position["histogram"]]
        means.append(f"{trace.method} {mean:.3f}")
        shade = colour(trace.method)
        if len(measured) == 1:
            axes.bar(centres, shares, 0.9 / BINS, color=shade, label=means[-1])
        else:
            axes.plot(centres, shares, color=shade, marker=marker(trace.method), markersize=4, label=means[-1])
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    add_legend(figure, axes)
    alt = f"Histogram of the kept tokens' positions over all stages; mean positions: {listed(means)} 0.5 means no bias."
    return [Plot(figure, "places", "Where kept tokens lie (with their mean)", alt)]
