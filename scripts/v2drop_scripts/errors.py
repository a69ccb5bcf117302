"""What the commands refuse beyond what the library refuses, and how they say so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape

from v2drop import V2DropError


class CommandError(V2DropError):
    """Contradictory options, or a file or model that is not there. Printed without a traceback, exit code 2."""


def tell_mistakes(command: Callable[[], Any]) -> None:
    """Run a command; what v2drop refuses is printed without a traceback, with exit code 2."""
    try:
        command()
    except V2DropError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Error:[/] {escape(str(error))}")
        sys.exit(2)


def tell_notes(notes: Iterable[str]) -> None:
    """Print what the user should know of files that are shown in part; on stderr, as stdout may be for programs."""
    for note in notes:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"Note: {note}")
