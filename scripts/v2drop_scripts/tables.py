"""A comparison's results as a table on the screen, in Markdown, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

COLUMNS = (
    "model", "method", "budget", "retained", "right", "95 % interval", "of dense", "p against random", "prefill, ms",
    "decode, ms", "total, ms", "prefill / dense", "decode / dense", "peak, MB", "working, MB", "KV, kB", "MFLOPs", "place",
)  # fmt: skip
KNOWN = (1, 2, 3, 4, 5, 6, 7, 17)  # columns of the two tables on a screen
TAKEN = (1, 2, 8, 9, 10, 11, 12, 13, 14, 15, 16)
NARROWEST = 132  # columns of a screen that both tables fit into
LEGEND = """retained: measured share of vision tokens, averaged over layers; each cut rounds down to whole tokens. p: exact
McNemar test, two-sided, same questions. Times are the language model's on single questions, without its head,
medians; decode is {decode} steps. Peak: the most memory held during a batch, median; working: without what is held at
rest. KV and FLOPs: of one question's prefill, without what scoring takes. Place: mean of the kept tokens' places in
the sequence of vision tokens, 0 the first and 1 the last, over the stages; without a position bias it is about 0.5."""


def cells(row: dict[str, Any]) -> list[str]:
    """One row's texts, in the order of COLUMNS."""

    def shown(name: str, pattern: str, scale: float = 1.0) -> str:
        return "-" if row[name] is None else format(row[name] * scale, pattern)

    interval = row["interval"] and "{:.1%} - {:.1%}".format(*row["interval"])
    return [
        f"{row['model']}, {row['modality']}",
        row["method"],
        shown("budget", ".3f"),
        shown("retained", ".3f"),
        shown("accuracy", ".1%"),
        interval or "-",
        shown("of_dense", ".1%"),
        shown("p_random", ".2g"),
        shown("prefill_ms", ".1f"),
        shown("decode_ms", ".1f"),
        shown("total_ms", ".1f"),
        shown("prefill_ratio", ".2f"),
        shown("decode_ratio", ".2f"),
        shown("peak_bytes", ".0f", 1e-6),
        shown("working_bytes", ".1f", 1e-6),
        shown("kv_bytes", ".0f", 1e-3),
        shown("flops", ".0f", 1e-6),
        "-" if row["position"] is None else f"{row['position']['mean']:.3f}",
    ]


def is_shown(row: dict[str, Any]) -> bool:
    """Whether a row has a line in tables: measured, or of dashes, as the method's cuts cannot reach the budget."""
    return row["accuracy"] is not None or row.get("unreachable") is not None


def unreached(results: dict[str, Any]) -> list[str]:
    """Why rows are of dashes."""
    return [
        f"{row['model']}, {row['modality']}: {row['method']} at {row['budget']:g}: {row['unreachable']}"
        for row in results["rows"]
        if row.get("unreachable")
    ]


def legend() -> str:
    """What the columns mean."""
    from .speed import NEW_TOKENS

    return LEGEND.format(decode=NEW_TOKENS - 1)


def problems(results: dict[str, Any]) -> list[str]:
    """What did not take part: methods and budgets with their reasons, and lines that were skipped."""
    found = []
    for row in results["rows"]:
        if row["error"]:
            who = f"{row['method']} at {row['budget']:g}" if row["budget"] is not None else row["method"]
            found.append(f"{row['model']}, {row['modality']}: {who}: {row['error']}")
    found += [f"{each['model']}, {each['modality']}: {each['reason']}" for each in results.get("failed", ())]
    return found + [f"{line['file']}, line {line['line']}: {line['reason']}" for line in results["skipped"]]


def print_results(console: Console, results: dict[str, Any]) -> None:
    """For people: what every method kept and knew, then what it took."""
    if not console.is_terminal:
        console.width = NARROWEST
    measured = [cells(row) for row in results["rows"] if is_shown(row)]
    longest = max((len(texts[1]) for texts in measured), default=0)
    for subject in dict.fromkeys(texts[0] for texts in measured):
        for columns in (KNOWN, TAKEN):
            table = Table(title=subject)
            for column in columns:
                whole = COLUMNS[column] == "method"  # names are shown as a whole on however narrow a screen
                table.add_column(COLUMNS[column], no_wrap=whole, min_width=longest if whole else None)
            for texts in measured:
                if texts[0] == subject:
                    table.add_row(*(texts[column] for column in columns))
            console.print(table)
    for reason in unreached(results):
        console.print(f"-: {reason}", highlight=False, soft_wrap=True, markup=False)
    console.print(legend(), highlight=False, soft_wrap=True)


def write_markdown(results: dict[str, Any], path: Path) -> None:
    """The same as a page of Markdown."""
    about = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    measured = [cells(row) for row in results["rows"] if is_shown(row)]
    lines = [
        f"# {results['command']}: {results['task']['name']}",
        "",
        f"{results['date']}, seed {results['seed']}, up to {results['task']['questions']} questions a model; {about}; "
        f"{results['device']}, {results['dtype']}, {results['threads']} thread{'s' * (results['threads'] != 1)}.",
        "",
        markdown_line(COLUMNS),
        "|" + "---|" * len(COLUMNS),
        *(markdown_line(row) for row in measured),
        "",
        legend(),
    ]
    if reasons := unreached(results):
        lines += ["", *(f"- {reason}" for reason in reasons)]
    if left_out := problems(results):
        lines += ["", "Not as asked:", "", *(f"- {problem}" for problem in left_out)]
    path.write_text("\n".join(lines) + "\n")


def write_csv(results: dict[str, Any], file: TextIO) -> None:
    """All rows' numbers, one line each."""
    plain = [_flat(row) for row in results["rows"]]
    writer = csv.DictWriter(file, list(plain[0]))
    writer.writeheader()
    writer.writerows(plain)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["interval"] or (None, None)
    stages = row["schedule"] and " ".join(f"{layer}:{keep:.4f}" for layer, keep in row["schedule"]["stages"])
    flat = {name: value for name, value in row.items() if not isinstance(value, (dict, list))}
    for name in ("interval", "by_kind", "position"):
        flat.pop(name, None)
    place = row["position"] and row["position"]["mean"]
    return {**flat, "schedule": stages, "interval_low": low, "interval_high": high, "position_mean": place}


def markdown_line(texts: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(texts) + " |"
