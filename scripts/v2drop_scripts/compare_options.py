"""The options that `v2drop compare-methods` and `v2drop compare-models` share. Light, as `options` is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BUDGETS, RETAIN_HELP

Budgets = Annotated[
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
LongestTaskAnswer = Annotated[int, typer.Option(min=1, help="Longest answer to a question of --task.")]
Out = Annotated[
    Path | None,
    typer.Option(help="A folder for the journal and the results. A run that was stopped goes on where it was."),
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write all rows to this file.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")]
