"""Makes failures end the process: lmms-eval only prints a model's exceptions and exits with code 0."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from v2drop import V2DropError


@contextmanager
def failing_loudly() -> Iterator[None]:
    """Turn an exception into exit code 1, and a v2drop error into 2; a launcher then ends the run's other processes."""
    try:
        yield
    except V2DropError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
