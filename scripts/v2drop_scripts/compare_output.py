"""What comparisons are asked for, checked before they run, and where their results go."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from v2drop import Schedule

from .errors import CommandError
from .options import BUDGETS
from .page import write_comparison
from .plots import require_plots
from .schedules import check_one, read_keep
from .tables import print_results, problems, write_csv, write_markdown

NAME = "results"  # of the files in --out


def budgets_or_schedule(
    retain: Sequence[str] | None, stages: str | None, file: Path | None
) -> tuple[list[float], Schedule | None]:
    """The budgets that are asked for, else the usual ones; none, and the schedule, where there is one for all methods.

    Raises what `read_keep` and `budgets_of` raise.
    """
    said = " ".join(retain) if retain else None
    check_one({"--retain": said, "--stages": stages, "--schedule": file})
    schedule = read_keep(stages=stages, file=file).schedule
    return (budgets_of([said or BUDGETS]), None) if schedule is None else ([], schedule)


def budgets_of(retain: Sequence[str]) -> list[float]:
    """The budgets in the order given, each once. Raises CommandError for what is no number."""
    budgets = []
    for text in re.split(r"[,\s]+", " ".join(retain).strip()):
        try:
            budget = float(text)
        except ValueError:
            budget = math.nan
        if not math.isfinite(budget):
            raise CommandError(f"--retain {text!r}: a share of vision tokens is a number, such as 0.333")
        budgets.append(budget)
    return list(dict.fromkeys(budgets))


def check_files(*paths: Path | None) -> None:
    """Raise CommandError for a result file that cannot be written: before the run, not after it."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise CommandError(f"cannot write {path}: name a file in a folder that is there")


def check_page(path: Path | None) -> None:
    """Raise CommandError for a page that cannot be written or drawn: before the run, not after it."""
    check_files(path)
    if path is not None:
        require_plots()


def deliver(results: dict[str, Any], out: Path | None, as_json: bool, csv: Path | None, html: Path | None) -> None:
    """Print and write results; ends the command with exit code 1 where something was left out."""
    if out is not None:
        write_all(results, out, NAME)
    if csv is not None:
        with csv.open("w", newline="") as file:
            write_csv(results, file)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_results(Console(), results)
    if html is not None:
        write_comparison(results, html)
    if left_out := problems(results):
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for problem in left_out:
            console.print(f"[bold yellow]Not as asked:[/] {escape(problem)}")
        errors = len(left_out) - len(results["skipped"])  # of models, methods and budgets
        console.print(f"{errors} results and {len(results['skipped'])} questions are not as asked")
        raise typer.Exit(1)


@contextmanager
def telling_how_to_go_on(out: Path | None) -> Iterator[None]:
    """Inside, Ctrl-C ends the command with exit code 130, and a word on what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "what was answered is kept: run the same command again to go on"
        lost = "nothing is kept: with --out DIR, a run that is stopped goes on where it was"
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"stopped; {lost if out is None else kept}")
        raise typer.Exit(130) from None


def write_all(results: dict[str, Any], folder: Path, name: str) -> None:
    """The results as JSON, CSV and Markdown side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    with (folder / f"{name}.csv").open("w", newline="") as file:
        write_csv(results, file)
    write_markdown(results, folder / f"{name}.md")
