"""Writes a comparison's results to the screen, and as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import rich.table
from rich.console import Console
from rich.text import Text

from .tables import (
    KNOWN,
    TAKEN,
    Row,
    Table,
    all_numbers,
    by_model,
    columns,
    count_of_questions,
    group_of,
    kinds_of,
    legend,
    problems,
    right_by_kind,
    unreached,
)

NARROWEST = 132  # columns of a screen: every table fits
IN_LATEX = (
    "method", "budget", "retained", "right", "95 % interval", "of dense", "p against", "prefill, ms", "prefill / dense",
    "decode, ms", "decode / dense",
)  # fmt: skip
ESCAPED = str.maketrans(
    {char: f"\\{char}" for char in "%_&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
)


def print_results(console: Console, results: dict[str, Any]) -> None:
    """Print what each method kept and answered, by kind of question, and what it cost."""
    if not console.is_terminal:
        console.width = NARROWEST
    for title, rows in by_model(results).items():
        _print(console, title, group_of(results, rows, KNOWN))
        for kinds in right_by_kind(rows):
            _print(console, f"{title}: right answers by kind of question", kinds)
        _print(console, title, group_of(results, rows, TAKEN))
    for reason in unreached(results):
        console.print(f"-: {reason}", highlight=False, soft_wrap=True, markup=False)
    console.print(legend(), highlight=False, soft_wrap=True)


def _print(console: Console, title: str, texts: Table) -> None:
    table = rich.table.Table(title=Text(title))  # kinds, names and paths may hold brackets, which are not markup
    longest = max(len(row[0]) for row in texts.rows)
    for number, heading in enumerate(texts.headings):  # method names are never cut off
        table.add_column(Text(heading), no_wrap=number == 0, min_width=None if number else longest)
    for row in texts.rows:
        table.add_row(*map(Text, row))
    console.print(table)


def write_markdown(results: dict[str, Any], path: Path) -> None:
    """Write the same as Markdown."""
    about = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"# {results['command']}: {results['task']['name']}",
        "",
        f"{results['date']}, seed {results['seed']}, {count_of_questions(results)}; {about}; "
        f"{results['device']}, {results['dtype']}, {results['threads']} thread{'s' * (results['threads'] != 1)}.",
        "",
        *_markdown(all_numbers(results)),
        "",
        legend(),
    ]
    if reasons := unreached(results):
        lines += ["", *(f"- {reason}" for reason in reasons)]
    for title, rows in by_model(results).items():
        for kinds in right_by_kind(rows):
            lines += ["", f"{title}: right answers by kind of question:", "", *_markdown(kinds)]
    if left_out := problems(results):
        lines += ["", "Not as asked:", "", *(f"- {problem}" for problem in left_out)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _markdown(table: Table) -> list[str]:
    return [markdown_line(table.headings), "|" + "---|" * len(table.headings), *map(markdown_line, table.rows)]


def markdown_line(texts: Sequence[str]) -> str:
    """A line of a Markdown table."""
    plain = (" ".join(text.splitlines()).replace("|", "\\|") for text in texts)
    return "| " + " | ".join(plain) + " |"


def write_latex(results: dict[str, Any], path: Path) -> None:
    """Write a LaTeX table for a paper, with booktabs rules: the columns that papers print."""
    found = [column for column in columns(results) if column.heading.startswith(IN_LATEX)]
    lines = [
        f"% v2drop {results['versions']['v2drop']}, {results['date']}: {results['command']}, {results['task']['name']}, "
        f"{count_of_questions(results)}, seed {results['seed']}",
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{'r' * (len(found) - 1)}}}",
        "\\toprule",
        _latex_line([column.heading for column in found]),
    ]
    for title, rows in by_model(results).items():
        lines += ["\\midrule", f"\\multicolumn{{{len(found)}}}{{l}}{{{title.translate(ESCAPED)}}} \\\\"]
        lines += [_latex_line([column.text(row) for column in found]) for row in rows]
    path.write_text("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n", encoding="utf-8")


def _latex_line(texts: Sequence[str]) -> str:
    return " & ".join("--" if text == "-" else text.translate(ESCAPED) for text in texts) + r" \\"


def write_csv(results: dict[str, Any], file: TextIO) -> None:
    """Write the numbers of all rows, one line each."""
    kinds = kinds_of(results["rows"])
    plain = [_flat(row, kinds) for row in results["rows"]]
    writer = csv.DictWriter(file, list(plain[0]))
    writer.writeheader()
    writer.writerows(plain)


def _flat(row: Row, kinds: Sequence[str]) -> Row:
    """A row as plain values: both ends of intervals and quartiles, and the share of right answers by kind."""
    stages = row["schedule"] and " ".join(f"{layer}:{keep:.4f}" for layer, keep in row["schedule"]["stages"])
    pairs = [name for name in row if name.endswith(("interval", "quartiles"))]
    nested = {*pairs, "by_kind", "position", "seeds"}
    flat = {name: value for name, value in row.items() if name not in nested} | {"schedule": stages}
    for name in pairs:
        flat[f"{name}_low"], flat[f"{name}_high"] = row[name] or (None, None)
    flat["seeds"] = row["seeds"] and " ".join(f"{share:.4f}" for share in row["seeds"])
    flat["position_mean"] = row["position"] and row["position"]["mean"]
    for kind in kinds:
        right, asked = (row["by_kind"] or {}).get(kind, (None, None))
        flat[f"right, {kind}"] = None if not asked else right / asked
    return flat
