"""Options shared by `v2drop compare-methods` and `v2drop compare-models`. Like `options`, imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from v2drop_loading.defaults import BUDGETS

from .options import RETAIN_HELP, complete_method

Budgets = Annotated[
    list[str] | None,
    typer.Option(
        help=f"{RETAIN_HELP} Repeat it, or pass several as one string. By default '{BUDGETS}'.",
    ),
]
Questions = Annotated[int, typer.Option(min=1, help="Maximum number of questions.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the zoo's questions and of method random.")]
RandomSeeds = Annotated[
    int,
    typer.Option(min=1, help="Number of seeds for random, counting up from --seed; its share is their mean."),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="Another method, besides random, to test the others against: McNemar's p for each.",
        autocompletion=complete_method,
    ),
]
Timed = Annotated[int, typer.Option(min=0, help="How many questions to time, one by one.")]
TaskFile = Annotated[
    Path | None,
    typer.Option(
        help="A JSON Lines file: question, image or video (paths relative to its folder), and accepted answers. Case, "
        "surrounding space and a full stop are ignored.",
        resolve_path=True,
    ),
]
LongestTaskAnswer = Annotated[int, typer.Option(min=1, help="Longest answer to a question of --task.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="A folder for the journal, the results and all answers (answers.csv). An interrupted run resumes from it."
    ),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all rows to this file.")]
Html = Annotated[
    Path | None, typer.Option(help="Write a page to this file: plots, tables, and where answers differ from dense.")
]
Latex = Annotated[Path | None, typer.Option("--latex", help="Write a table for LaTeX to this file.")]
Plots = Annotated[Path | None, typer.Option(help="Write every plot as SVG and PDF into this folder.")]
