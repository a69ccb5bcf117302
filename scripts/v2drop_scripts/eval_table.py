"""What dropping cost and saved in lmms-eval's tasks: scores and figures of two runs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

QUOTED = {"mme": ["mme_perception_score", "mme_cognition_score"], "pope": ["pope_f1_score"]}
FIGURES = {
    "retained": ("retained", ".1%", 1.0),
    "vision_tokens_kept": ("vision tokens, mean over layers", ".1f", 1.0),
    "prefill_ms": ("LLM prefill, ms", ".1f", 1.0),
    "decode_ms": ("LLM decode, ms", ".1f", 1.0),
    "answer_ms": ("answer, ms", ".1f", 1.0),
    "peak_bytes": ("peak memory, MB", ",.0f", 1e-6),
}
LEGEND = """Kept: share of the dense score. A score is lmms-eval's first metric of the task, but MME's is the sum of its two and
POPE's its F1, as papers quote them. Times are means over prompts; an answer's includes the vision tower."""


def scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The number that papers quote of each task in lmms-eval's results; groups are left to their tasks."""
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
    """Two runs, dense first, as plain data.

    Args:
        runs: the file of each run's results.
        figures: what each run took.
    """
    labels = list(runs)
    dense, dropped = (scores(json.loads(path.read_text())) for path in runs.values())
    shares = {task: dropped[task] / score for task, score in dense.items() if score}
    rows = [
        {"task": task, "dense": score, "dropped": dropped[task], "kept": shares.get(task)}
        for task, score in dense.items()
    ]
    return {
        "runs": {label: str(path) for label, path in runs.items()},
        "rows": rows,
        "kept": mean(shares.values()) if shares else None,
        "figures": {label: dict(figures[label]) for label in labels},
    }


def tables(results: Mapping[str, Any]) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Scores, then figures, as lines of cells; the first line of each is the head."""
    labels = list(results["runs"])
    top: list[Sequence[str]] = [("task", *labels, "kept")]
    for row in results["rows"]:
        top.append((row["task"], *(f"{row[name]:.4g}" for name in ("dense", "dropped")), _share(row["kept"])))
    if len(results["rows"]) > 1:
        top.append(("mean", "", "", _share(results["kept"])))
    bottom: list[Sequence[str]] = [("", *labels, "ratio")]
    for name, (title, pattern, scale) in FIGURES.items():
        dense, dropped = (results["figures"][label].get(name) for label in labels)
        if dense is not None and dropped is not None:
            bottom.append(
                (title, *(format(each * scale, pattern) for each in (dense, dropped)), f"{dropped / dense:.2f}")
            )
    return top, bottom


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def print_tables(console: Console, results: Mapping[str, Any]) -> None:
    """For people."""
    for head, *lines in tables(results):
        table = Table(*head)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    console.print(LEGEND, highlight=False, soft_wrap=True)


def markdown(results: Mapping[str, Any]) -> str:
    """The same in Markdown."""
    parts = []
    for head, *lines in tables(results):
        body = "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])
        parts.append(body)
    return "\n".join([*parts, LEGEND]) + "\n"
