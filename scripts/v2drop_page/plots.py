"""The style of plots, and their conversion to SVG that takes the page's colours."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from v2drop_loading.schedules import DENSE
from v2drop_terminal.needs import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE = "#0a0b0c", "#0d0e0f"  # placeholders for the page's colours, which differ between light and dark
COLOURS = {
    "v2drop": "#e0533d", "fastv": "#3b82c4", "pyramiddrop": "#8a63c9", "sparsevlm": "#159a8c", "dart": "#c0850c",
    "random": "#858b95", "uniform": "#6f9427", DENSE: INK,
}  # fmt: skip
OTHERS = ("#c2559d", "#a0673b", "#4f9fb5", "#9a9a2a")
MARKERS = "osD^vPX*"
_known = list(COLOURS)  # methods in the order of their first use
WIDTH = 4.6  # inches: fills a column of the page at about its natural size
LETTER, HANDLE = 5.0, 34.0  # points, roughly: a letter of a legend, and the line and space beside a name
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "v2drop", "font.size": 9.5, "axes.titlesize": 9.5, "text.color": INK,
    "axes.edgecolor": LINE, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": LINE,
    "axes.grid": True, "axes.axisbelow": True, "grid.linewidth": 0.6, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 9.5,
}  # fmt: skip
ON_PAPER = {"grid.color": "#dddddd", "axes.edgecolor": "#888888", "pdf.fonttype": 42}  # text in a PDF stays text


class Plot(NamedTuple):
    """A plot with its name and texts.

    Attributes:
        name: sets its ids apart from those of a page's other plots, and its file from other files.
        title: its caption.
        alt: what it shows, as an alternative text.
    """

    figure: Figure
    name: str
    title: str
    alt: str


def require_plots() -> None:
    """Raise CommandError if the plotting library is missing."""
    require("pages are drawn with", "v2drop[page]", ["matplotlib"])


def colour(method: str) -> str:
    """A method's colour, the same in every plot; custom methods get theirs in the order of their first use."""
    return COLOURS.get(method) or OTHERS[(_place(method) - len(COLOURS)) % len(OTHERS)]


def marker(method: str) -> str:
    """A method's marker, for readers who cannot tell the colours apart."""
    return MARKERS[_place(method) % len(MARKERS)]


def _place(method: str) -> int:
    if method not in _known:
        _known.append(method)
    return _known.index(method)


@contextmanager
def plot_style(on_paper: bool = False) -> Iterator[None]:
    """Inside the block, plots are made for a page, or in colours for paper. Raises what `require_plots` raises."""
    require_plots()
    from matplotlib import rc_context

    with rc_context(STYLE | (ON_PAPER if on_paper else {})):
        yield


def new_plot(height: float = 3.0, across: str = "", up: str = "") -> tuple[Figure, Axes]:
    """An empty plot with labelled axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def add_legend(figure: Figure, axes: Axes) -> None:
    """Add a legend below the plot, in as many columns as fit; none if nothing has a name."""
    lines, names = axes.get_legend_handles_labels()
    if names:
        longest = max(map(len, names))
        fit = int(72 * WIDTH / (LETTER * longest + HANDLE))
        columns = max(1, min(4, fit, len(names)))
        figure.legend(lines, names, loc="outside lower center", ncols=columns, columnspacing=1.2, handlelength=1.8)


def save_plot(plot: Plot, folder: Path) -> None:
    """Save a plot, made in `plot_style(on_paper=True)`, as NAME.svg and NAME.pdf, without dates: always the same."""
    plot.figure.savefig(folder / f"{plot.name}.svg", metadata={"Date": None, "Title": plot.title})
    plot.figure.savefig(folder / f"{plot.name}.pdf", metadata={"CreationDate": None, "Title": plot.title})


def as_figure(plot: Plot) -> str:
    """The plot as an HTML figure."""
    name, file = plot.name, io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    plot.figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r'(font: (?:\w+ )?[\d.]+px )[^;"]+', r"\1var(--font)", svg)
    svg = svg.replace(INK, "var(--ink)").replace(LINE, "var(--line)")
    label = html.escape(plot.alt, quote=True)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg ', r"<svg \1", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f'<figure class="plot" id="{name}"><figcaption>{html.escape(plot.title)}</figcaption>{svg}</figure>'


def listed(parts: Sequence[str]) -> str:
    """A list for an alternative text."""
    return "; ".join(parts) + "."
