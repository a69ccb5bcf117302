"""Errors of the commands beyond those of the library, and how they are printed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from v2drop import V2DropError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota or the largest file size


class CommandError(V2DropError):
    """Contradictory options, or a missing file or model. Printed without a traceback; exit code 2."""


def tell_mistakes(command: Callable[[], Any]) -> None:
    """Run a command. The errors that `tell` handles are printed without a traceback, with exit code 2."""
    try:
        command()
    except Exception as error:
        tell(error)


def tell_notes(notes: Iterable[str]) -> None:
    """Print notes about files that are read only in part; on stderr, as programs may read stdout."""
    for note in notes:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"Note: {note}")


def tell(error: Exception) -> NoReturn:
    """Print an error of v2drop, or that the disk is full, and exit with code 2; raise any other error again."""
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename or "the output"
        message = f"cannot write {where}: {error.strerror}"
        if error.filename is None:  # buffered output would fail again when Python exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    elif isinstance(error, V2DropError):
        message = str(error)
    else:
        raise error
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Error:[/] {escape(message)}")
    sys.exit(2)
