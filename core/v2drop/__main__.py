"""`python -m v2drop` runs the `v2drop` command if it is installed."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

from .installing import pip_install


def main() -> None:
    """Run the command's entry point. If there is none, say what to install and exit with code 2."""
    for point in entry_points(group="console_scripts", name="v2drop"):
        point.load()()
        return
    print(f"the v2drop command is not installed here: {pip_install('v2drop[cli]')}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
