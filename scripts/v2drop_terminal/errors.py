"""What the commands refuse beyond what the library refuses, and how they say so."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from v2drop import V2DropError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk


class CommandError(V2DropError):
    """Contradictory options, or a file or model that is not there. Printed without a traceback, exit code 2."""


def tell_mistakes(command: Callable[[], Any]) -> None:
    """Run a command; what `tell` tells is printed without a traceback, with exit code 2."""
    try:
        command()
    except Exception as error:
        tell(error)


def tell_notes(notes: Iterable[str]) -> None:
    """Print what the user should know of files that are shown in part; on stderr, as stdout may be for programs."""
    for note in notes:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"Note: {note}")


def tell(error: Exception) -> NoReturn:
    """Print what v2drop refused, or that there was no room for the output, and exit with 2; raise any other error anew."""
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename or "the output"
        message = f"cannot write {where}: {error.strerror}"
        if error.filename is None:  # what standard output still holds would fail anew when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    elif isinstance(error, V2DropError):
        message = str(error)
    else:
        raise error
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Error:[/] {escape(message)}")
    sys.exit(2)
