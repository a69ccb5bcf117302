"""Failures that end the process: lmms-eval prints what a model raises, and then exits with code 0 as if all were well."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from v2drop import V2DropError


@contextmanager
def failing_loudly() -> Iterator[None]:
    """Turn an exception into exit code 1, and what v2drop refuses into 2; a launcher then ends the run's other processes."""
    try:
        yield
    except V2DropError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
