"""What the command refuses beyond what the library refuses."""

from __future__ import annotations

from v2drop import V2DropError


class CommandError(V2DropError):
    """Contradictory options, or a file or model that is not there. Printed without a traceback, exit code 2."""
