"""`python -m v2drop` is the `v2drop` command, where that is installed."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

from .installing import pip_install


def main() -> None:
    """Hand over to the command's entry point. Exits with 2 and says what to install where there is none."""
    for point in entry_points(group="console_scripts", name="v2drop"):
        point.load()()
        return
    print(f"the v2drop command is not installed here: {pip_install('v2drop[cli]')}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
