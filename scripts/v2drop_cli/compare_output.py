"""Checks the options of a comparison before it runs, and writes its results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from v2drop import Schedule
from v2drop_comparing.experiment import Comparison
from v2drop_comparing.given_answers import write_answers
from v2drop_comparing.table_output import print_results, write_csv, write_latex, write_markdown
from v2drop_comparing.tables import problems
from v2drop_loading.defaults import BUDGETS
from v2drop_loading.schedules import budgets_of, check_one, read_keep
from v2drop_page.comparison_page import save_plots, write_comparison
from v2drop_page.plots import require_plots
from v2drop_terminal.errors import CommandError

NAME, ANSWERS = "results", "answers.csv"  # names of the files in --out


@dataclass(frozen=True)
class Wanted:
    """The files that a comparison is to write.

    Attributes:
        out: a folder for the journal, the results and the answers.
        csv, html, latex: files.
        plots: a folder.
    """

    out: Path | None
    csv: Path | None
    html: Path | None
    latex: Path | None
    plots: Path | None

    def check(self) -> None:
        """Raise CommandError before the run for an output that cannot be written or drawn."""
        check_files(self.csv, self.html, self.latex)
        check_folder(self.out, "--out")
        check_folder(self.plots, "--plots")
        if self.html is not None or self.plots is not None:
            require_plots()


def budgets_or_schedule(
    retain: Sequence[str] | None, stages: str | None, file: Path | None
) -> tuple[list[float], Schedule | None]:
    """The requested budgets, by default `BUDGETS`; or no budgets and one schedule for all methods.

    Raises the errors of `read_keep` and `budgets_of`.
    """
    said = " ".join(retain) if retain else None
    check_one({"--retain": said, "--stages": stages, "--schedule": file})
    schedule = read_keep(stages=stages, file=file).schedule
    return (budgets_of([said or BUDGETS]), None) if schedule is None else ([], schedule)


def check_files(*paths: Path | None) -> None:
    """Raise CommandError before the run for a result file that cannot be written."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise CommandError(f"cannot write {path}: name a file in an existing folder")


def check_folder(path: Path | None, option: str) -> None:
    """Raise CommandError for a folder that cannot be created because a file is in its path."""
    if path is not None:
        for part in (path, *path.resolve().parents):
            if part.exists() and not part.is_dir():
                raise CommandError(f"{part} is a file: {option} is a folder")


def check_page(path: Path | None) -> None:
    """Raise CommandError before the run for a page that cannot be written or drawn."""
    check_files(path)
    if path is not None:
        require_plots()


def deliver(found: Comparison, wanted: Wanted, as_json: bool) -> None:
    """Print and write the results; ends the command with exit code 1 if any were skipped or failed."""
    results = found.results
    if wanted.out is not None:
        write_all(results, wanted.out, NAME)
        write_answers(found.answers, wanted.out / ANSWERS)
    if wanted.csv is not None:
        with wanted.csv.open("w", newline="", encoding="utf-8") as file:
            write_csv(results, file)
    if wanted.latex is not None:
        write_latex(results, wanted.latex)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_results(Console(), results)
    if wanted.html is not None:
        write_comparison(results, wanted.html, found.differences)
    if wanted.plots is not None:
        save_plots(results, wanted.plots)
    if left_out := problems(results):
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for problem in left_out:
            console.print(f"[bold yellow]Skipped or failed:[/] {escape(problem)}")
        errors = len(left_out) - len(results["skipped"])  # by models, methods and budgets
        console.print(f"{errors} results and {len(results['skipped'])} questions were skipped or failed")
        raise typer.Exit(1)


@contextmanager
def telling_how_to_go_on(out: Path | None) -> Iterator[None]:
    """Inside, Ctrl-C ends the command with exit code 130 and a message about resuming."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "finished answers are saved: run the same command again to resume"
        lost = "nothing was saved: with --out DIR, an interrupted run can be resumed"
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"stopped; {lost if out is None else kept}")
        raise typer.Exit(130) from None


def write_all(results: dict[str, Any], folder: Path, name: str) -> None:
    """The results as JSON, CSV and Markdown side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        write_csv(results, file)
    write_markdown(results, folder / f"{name}.md")
