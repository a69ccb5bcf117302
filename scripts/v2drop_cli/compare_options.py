"""The options that `v2drop compare-methods` and `v2drop compare-models` share. Light, as `options` is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from v2drop_loading.defaults import BUDGETS

from .options import RETAIN_HELP, complete_method

Budgets = Annotated[
    list[str] | None,
    typer.Option(
        help=f"{RETAIN_HELP} Repeat it, or pass several as one text. By default '{BUDGETS}'.",
    ),
]
Questions = Annotated[int, typer.Option(min=1, help="How many questions, at most.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which of the zoo's questions, and what random keeps.")]
RandomSeeds = Annotated[
    int,
    typer.Option(
        min=1, help="With how many seeds random takes part, --seed and those after it; its share is their mean."
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="A method that the others are tested against, beside random: McNemar's p for each.",
        autocompletion=complete_method,
    ),
]
Timed = Annotated[int, typer.Option(min=0, help="How many questions to time, one by one.")]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        help="A file of JSON lines: question, image or video (paths from its folder), answers, of which one must be given, "
        "but for case, surrounding space and a full stop.",
        resolve_path=True,
    ),
]
LongestTaskAnswer = Annotated[int, typer.Option(min=1, help="Longest answer to a question of --task.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="A folder for the journal, the results, and every answer (answers.csv). A run that was stopped goes on where it was."
    ),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all rows to this file.")]
Html = Annotated[
    Path | None, typer.Option(help="Write a page to this file: plots, tables, and where answers differ from dense.")
]
Latex = Annotated[Path | None, typer.Option("--latex", help="Write a table for LaTeX to this file.")]
Plots = Annotated[Path | None, typer.Option(help="Write every plot as SVG and PDF into this folder.")]
