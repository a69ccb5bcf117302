"""Pages: single HTML files that show what was dropped, and how methods compare. Nothing in them asks a network."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from torch import Tensor

import v2drop
from v2drop import VisionLayout

from .comparison_plots import comparison_plots
from .page_data import explorer_data
from .panels import Panel
from .question import Question
from .results import MEASURED
from .tables import COLUMNS, cells, is_shown, legend, problems, unreached
from .trace_plots import trace_plots
from .traces import Trace

PARTS = files(__package__) / "page_parts"


def write_page(sections: Sequence[str], path: Path) -> None:
    """Put sections, as `example_section` and `comparison_section` make them, into a page."""
    style, script = (_part(name) for name in ("page.css", "page.js"))
    content = "\n".join(sections)
    page = Template(_part("page.html")).substitute(
        style=style, script=script, content=content, version=v2drop.__version__
    )
    path.write_text(page, encoding="utf-8")


def write_comparison(results: dict[str, Any], path: Path) -> None:
    """The page of a comparison. `results` are plain data, as `results.collect` returns them; numbers may be None."""
    write_page([comparison_section(results)], path)


def example_section(
    model: str,
    question: Question,
    answer: str,
    layout: VisionLayout,
    panels: Sequence[Panel],
    variation: Tensor,
    traces: Sequence[Trace],
) -> str:
    """What was dropped for one question: the pictures with a slider over layers, plots, and answers.

    Args:
        model: its name.
        answer: the dense model's.
        layout, panels, variation, traces: as `page_data.explorer_data` takes them.
    """
    data = json.dumps(explorer_data(layout, panels, variation, traces), separators=(",", ":")).replace("<", "\\u003c")
    shown, total = sum(len(panel.tokens) for panel in panels), len(layout.position)
    part = "" if shown == total else f"The film strip shows {shown} of {total} tokens; counts are of all."
    radios = [
        f'<label><input type="radio" name="method" value="{number}"{" checked" * (number == 0)}> '
        f"{html.escape(trace.method)}</label>"
        for number, trace in enumerate(traces)
    ]
    return Template(_part("example.html")).substitute(
        model=html.escape(model),
        files=html.escape(", ".join(file.name for file in question.files)),
        prompt=html.escape(question.prompt),
        tokens=total,
        part=part,
        methods="\n".join(radios),
        last=len(variation),
        film="film" if question.video is not None else "",
        data=data,
        answers=_answers(answer, traces),
        plots="\n".join(trace_plots(traces, variation)),
    )


def comparison_section(results: dict[str, Any]) -> str:
    """Plots and table of a comparison, model by model; see `write_comparison`."""
    rows = [{**dict.fromkeys((*MEASURED, "unreachable")), **row} for row in results["rows"]]
    subjects = list(dict.fromkeys((row["model"], row["modality"]) for row in rows))
    parts = []
    for number, subject in enumerate(subjects):
        mine = [row for row in rows if (row["model"], row["modality"]) == subject]
        plots = comparison_plots(mine, f"{_slug(results['command'], *subject)}-{number}")
        title = html.escape(f"{subject[0]}, {subject[1]}s")
        parts.append(f'<h3>{title}</h3><div class="plots">{"".join(plots)}</div>')
    left_out = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems({**results, "rows": rows}))
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    threads = f"{results['threads']} thread{'s' * (results['threads'] != 1)}"
    return Template(_part("comparison.html")).substitute(
        command=html.escape(results["command"]),
        task=html.escape(results["task"]["name"]),
        questions=results["task"]["questions"],
        about=html.escape(
            f"{results['date']}, seed {results['seed']}; {versions}; {results['device']}, {results['dtype']}, {threads}"
        ),
        subjects="\n".join(parts),
        table=_table(COLUMNS, [cells(row) for row in rows if is_shown(row)]),
        legend="<br>".join(
            html.escape(text) for text in [*(f"-: {reason}" for reason in unreached(results)), legend()]
        ),
        problems=f"<h3>Not as asked</h3><ul>{left_out}</ul>" if left_out else "",
    )


def _answers(dense: str, traces: Sequence[Trace]) -> str:
    columns = ("", "answer", "stages", "retained", "prefill FLOPs", "KV cache", "mean place of kept tokens")
    rows = [["dense", dense, "none", "100%", "1.00 x", "1.00 x", "-"]]
    for trace in traces:
        report = trace.report
        stages = ", ".join(f"{stage.keep:.3g} from layer {stage.layer}" for stage in trace.schedule.stages)
        costs = [f"{report.flops.ratio:.2f} x", f"{report.kv_bytes.ratio:.2f} x"]
        place = "-" if trace.position is None else f"{trace.position['mean']:.3f}"
        rows.append([trace.method, trace.answer, stages or "none", f"{report.retained:.1%}", *costs, place])
    return _table(columns, rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _slug(*texts: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else "-" for letter in text) for text in texts)


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
