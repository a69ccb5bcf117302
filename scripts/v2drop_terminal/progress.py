"""What people see while they wait: a bar for long work, and a word while a model loads."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text


def counting_progress(console: Console, **options: Any) -> Progress:
    """Progress in whole steps; `options` are rich's."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, **options)


def waiting(what: str) -> Status:
    """A line on stderr, on a terminal alone, that goes when the block ends."""
    return Console(stderr=True).status(Text(what))
