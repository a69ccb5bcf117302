"""Cost and savings of dropping in lmms-eval tasks: scores and metrics of its runs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from v2drop_comparing.table_output import markdown_line

QUOTED = {"mme": ["mme_perception_score", "mme_cognition_score"], "pope": ["pope_f1_score"]}
FIGURES = {
    "retained": ("retained", ".1%", 1.0),
    "vision_tokens_kept": ("vision tokens, mean over layers", ".1f", 1.0),
    "prefill_ms": ("LLM prefill, ms", ".1f", 1.0),
    "decode_ms": ("LLM decode, ms", ".1f", 1.0),
    "answer_ms": ("answer, ms", ".1f", 1.0),
    "peak_bytes": ("peak memory, MB", ",.0f", 1e-6),
}
LEGEND = """In brackets: the share of dense. Scores are lmms-eval's first metric of a task, or as papers quote them: for MME the
sum of its two, for POPE F1. Times are means over prompts; the time of an answer includes the vision tower."""


def scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The score that papers quote for each task in lmms-eval's results; groups are skipped, their tasks are not."""
    found = {}
    for task, entry in results["results"].items():
        metrics = {
            name.partition(",")[0]: value
            for name, value in entry.items()
            if "," in name and "_stderr" not in name and isinstance(value, (int, float))
        }
        quoted = [metrics[name] for name in QUOTED.get(task, list(metrics)[:1])]
        if quoted and not results["group_subtasks"].get(task):
            found[task] = float(sum(quoted))
    return found


def compare(runs: Mapping[str, Path], figures: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Runs, dense first, as plain data: scores by task and run, the mean share of the dense scores, and metrics.

    Args:
        runs: the results file of each run.
        figures: the cost of each run.
    """
    by_run = {label: scores(json.loads(path.read_text())) for label, path in runs.items()}
    dense = next(iter(by_run.values()))
    kept = {
        label: [found[task] / score for task, score in dense.items() if score] or [1.0]
        for label, found in by_run.items()
    }
    return {
        "results": {label: str(path) for label, path in runs.items()},
        "scores": {task: {label: found[task] for label, found in by_run.items()} for task in dense},
        "kept": {label: mean(shares) for label, shares in kept.items()},
        "figures": {label: dict(figures[label]) for label in runs},
    }


def tables(results: Mapping[str, Any]) -> tuple[list[list[str]], list[list[str]]]:
    """Scores, then metrics, as lines of cells; the first line of each is the header."""
    labels = list(results["results"])
    top = [["task", *labels]]
    top += [[task, *_cells(list(row.values()), ".4g", 1.0)] for task, row in results["scores"].items()]
    top += [["kept, mean", *(f"{share:.1%}" for share in results["kept"].values())]]
    bottom = [["", *labels]]
    for name, (title, pattern, scale) in FIGURES.items():
        values = [results["figures"][label].get(name) for label in labels]
        if None not in values:
            bottom.append([title, *_cells(values, pattern, scale)])
    return top, bottom


def _cells(values: Sequence[float], pattern: str, scale: float) -> list[str]:
    dense, *others = values
    first, *rest = (format(value * scale, pattern) for value in values)
    return [
        first,
        *(f"{text} ({value / dense:.1%})" if dense else text for text, value in zip(rest, others, strict=True)),
    ]


def print_tables(console: Console, results: Mapping[str, Any]) -> None:
    """Print the tables to a console."""
    for head, *lines in tables(results):
        table = Table(*map(escape, head))
        for line in lines:
            table.add_row(*map(escape, line))
        console.print(table)
    console.print(LEGEND, highlight=False, soft_wrap=True)


def markdown(results: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    parts = [
        "".join(f"{markdown_line(line)}\n" for line in [head, ["---"] * len(head), *lines])
        for head, *lines in tables(results)
    ]
    return "\n".join([*parts, LEGEND]) + "\n"
