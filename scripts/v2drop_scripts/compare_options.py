"""The options that `v2drop compare-methods` and `v2drop compare-models` share, and where their results go."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from v2drop import Schedule

from .errors import CommandError
from .options import RETAIN_HELP
from .page import write_comparison
from .plots import require_plots
from .schedules import check_one, read_keep
from .tables import print_results, problems, write_csv, write_markdown

BUDGETS = "0.5 0.333 0.222 0.111"
NAME = "results"  # of the files in --out


class Modality(str, Enum):
    """What the zoo's questions are about."""

    IMAGE = "image"
    VIDEO = "video"


Retain = Annotated[
    list[str] | None,
    typer.Option(
        help=f"{RETAIN_HELP} Repeat it, or pass several as one text. By default '{BUDGETS}'.",
    ),
]
Questions = Annotated[int, typer.Option(min=1, help="How many questions, at most.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which of the zoo's questions, and what random keeps.")]
Timed = Annotated[int, typer.Option(min=0, help="How many questions to time, one by one.")]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        help="A file of JSON lines: question, image or video (paths from its folder), answers, of which one must be given, "
        "but for case, surrounding space and a full stop.",
        resolve_path=True,
    ),
]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="Longest answer to a question of --task.")]
Out = Annotated[
    Path | None,
    typer.Option(help="A folder for the journal and the results. A run that was stopped goes on where it was."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all rows to this file.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")]


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


def write_all(results: dict[str, Any], folder: Path, name: str) -> None:
    """The results as JSON, CSV and Markdown side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    with (folder / f"{name}.csv").open("w", newline="") as file:
        write_csv(results, file)
    write_markdown(results, folder / f"{name}.md")
