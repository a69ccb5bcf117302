"""Progress displays: a bar for long work, and a status line while a model loads."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text


def counting_progress(console: Console, **options: Any) -> Progress:
    """A progress bar that counts whole steps; `options` are rich's."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, **options)


def waiting(what: str) -> Status:
    """A status line on stderr, only on a terminal, that disappears when the block ends."""
    return Console(stderr=True).status(Text(what))
