"""Pages: single HTML files that need no network, and the section on one question: what was dropped, layer by layer."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from torch import Tensor

import v2drop
from v2drop import VisionLayout
from v2drop_comparing.tables import Table
from v2drop_loading.question import Question

from .data import explorer_data
from .panels import Panel
from .trace_plots import trace_plots
from .traces import Trace

PARTS = files(__package__) / "assets"
LONG = 24  # characters: longer texts in a table are wrapped


def write_page(sections: Sequence[str], path: Path) -> None:
    """Write a page of sections from `example_section` and `comparison_page.comparison_section`."""
    style, script = (page_part(name).template for name in ("page.css", "page.js"))
    content = "\n".join(sections)
    page = page_part("page.html").substitute(style=style, script=script, content=content, version=v2drop.__version__)
    path.write_text(page, encoding="utf-8")


def example_section(
    model: str,
    question: Question,
    answer: str,
    layout: VisionLayout,
    panels: Sequence[Panel],
    variation: Tensor,
    traces: Sequence[Trace],
) -> str:
    """Show what was dropped for one question: the pictures with a slider over layers, plots, and answers.

    Args:
        model: the model's name.
        answer: the dense model's answer.
        layout, panels, variation, traces: as `data.explorer_data` takes them.
    """
    data = json.dumps(explorer_data(layout, panels, variation, traces), separators=(",", ":")).replace("<", "\\u003c")
    shown, total = sum(len(panel.tokens) for panel in panels), len(layout.position)
    part = "" if shown == total else f"The frames show {shown} of {total} tokens; counts include all."
    radios = [
        f'<label><input type="radio" name="method" value="{number}"{" checked" * (number == 0)}> '
        f"{html.escape(trace.method)}</label>"
        for number, trace in enumerate(traces)
    ]
    return page_part("example.html").substitute(
        model=html.escape(model),
        files=html.escape(", ".join(file.name for file in question.files)),
        prompt=html.escape(question.prompt),
        tokens=total,
        part=part,
        methods="\n".join(radios),
        last=len(variation),
        first=traces[0].schedule.stages[0].layer if traces[0].schedule.stages else 0,
        film="film" if question.video is not None else "",
        data=data,
        answers=_answers(answer, traces),
        plots="\n".join(trace_plots(traces, variation)),
    )


def _answers(dense: str, traces: Sequence[Trace]) -> str:
    columns = ["", "answer", "stages", "retained", "prefill FLOPs", "KV cache", "mean position of kept tokens"]
    rows = [["dense", dense, "none", "100%", "1.00 x", "1.00 x", "-"]]
    for trace in traces:
        report = trace.report
        stages = ", ".join(f"{stage.keep:.3g} from layer {stage.layer}" for stage in trace.schedule.stages)
        costs = [f"{report.flops.ratio:.2f} x", f"{report.kv_bytes.ratio:.2f} x"]
        place = "-" if trace.position is None else f"{trace.position['mean']:.3f}"
        rows.append([trace.method, trace.answer, stages or "none", f"{report.retained:.1%}", *costs, place])
    return html_table(Table(columns, rows))


def html_table(table: Table) -> str:
    """A table; long texts, such as answers, are wrapped."""
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in table.headings)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    wrapped = ' class="text"' if len(text) > LONG else ""
    return f"<td{wrapped}>{html.escape(text)}</td>"


def page_part(name: str) -> Template:
    """A template from the assets folder."""
    return Template((PARTS / name).read_text(encoding="utf-8"))
