"""The `v2drop` command: one module for each subcommand."""

from __future__ import annotations

import logging
import sys

# transformers imports torchao if it is installed, and torchao makes torch log warnings that do not concern the user
logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


def main() -> None:
    """Entry point of the `v2drop` command; says what to install if its libraries are missing."""
    try:
        from .app import run_app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "PIL"}:
            raise
        from v2drop.installing import pip_install

        print(
            f"the v2drop command needs {error.name}: {pip_install('v2drop[cli]')}, or an adapter's extra, which brings it: "
            f"{pip_install('v2drop[llava]')}",
            file=sys.stderr,
        )
        sys.exit(2)
    run_app()
