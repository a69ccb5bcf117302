"""Keeps Ray's messages off the terminal: they go to a file, so that nothing is lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LOG = "ray.log"  # in the output folder


@contextmanager
def stderr_to(path: Path) -> Iterator[TextIO]:
    """Inside, stderr of this process, including Ray's C++, goes to a file; yields a stream to the original stderr.

    A file that stays empty is deleted.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with path.open("ab") as log, os.fdopen(os.dup(terminal), "w", encoding="utf-8") as shown:
            os.dup2(log.fileno(), 2)
            yield shown
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        if not path.stat().st_size:
            path.unlink()
