"""Tables of comparisons on the screen, in Markdown, LaTeX and CSV: what names and kinds hold is text, whatever it is."""

from __future__ import annotations

import csv

import pytest
from rich.console import Console

from v2drop_comparing.results import MEASURED
from v2drop_comparing.table_output import print_results, write_csv, write_latex, write_markdown

KINDS = {"b [/x]": [1, 2], "a|b & Brücke": [2, 2]}


def results(**more):
    row = {
        **dict.fromkeys((*MEASURED, "unreachable", "schedule")), "model": "org/my~model^2 [bold]", "modality": "file",
        "method": "fastv", "budget": 0.5, "accuracy": 0.75, "by_kind": KINDS, "p_random": 0.2, "prefill_ms": 12.0,
        "prefill_quartiles": [11.0, 13.0], "prefill_ratio": 0.5, "decode_ms": 3.0, "decode_ratio": 0.9,
        "decode_ratio_quartiles": [0.88, 0.91],
    }  # fmt: skip
    return {
        "command": "compare-methods", "date": "2001-02-03", "seed": 5, "versions": {"v2drop": "1.2.3"}, "device": "cpu",
        "dtype": "float32", "threads": 1, "task": {"name": "a task", "questions": 2, "fewest": 2}, "rows": [row], "skipped": [],
        **more,
    }  # fmt: skip


def test_brackets_are_text_on_the_screen(capsys):
    print_results(Console(width=160), results())
    printed = capsys.readouterr().out
    assert "org/my~model^2 [bold]" in printed
    assert "b [/x]" in printed


def test_markdown_and_latex_escape_what_they_would_read(tmp_path):
    write_markdown(results(), tmp_path / "a.md")
    assert "| method | budget | a\\|b & Brücke | b [/x] |" in (tmp_path / "a.md").read_text("utf-8")
    write_latex(results(), tmp_path / "a.tex")
    table = (tmp_path / "a.tex").read_text("utf-8")
    assert "org/my\\textasciitilde{}model\\textasciicircum{}2 [bold]" in table
    assert "12.0 $\\pm$ 1.0" in table


def test_a_ratio_of_one_question_alone_is_unclear(tmp_path):
    write_markdown(results(), tmp_path / "a.md")
    line = next(line for line in (tmp_path / "a.md").read_text("utf-8").splitlines() if "fastv" in line)
    assert [cell.strip() for cell in line.split("|")][14:16] == ["unclear", "0.90"]


@pytest.mark.parametrize(("against", "count"), [(None, 0), ("random", 0), ("v2drop", 1)])
def test_a_column_is_there_once(tmp_path, against, count):
    write_markdown(results(against=against), tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text("utf-8")
    assert text.count("| p against random |") == 1
    assert text.count("| p against v2drop |") == count


def test_the_csv_has_a_share_of_each_kind(tmp_path):
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        write_csv(results(), file)
    [line] = csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8"))
    assert (line["right, b [/x]"], line["right, a|b & Brücke"]) == ("0.5", "1.0")
    assert (line["prefill_quartiles_low"], line["prefill_quartiles_high"]) == ("11.0", "13.0")
