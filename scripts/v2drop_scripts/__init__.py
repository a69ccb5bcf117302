"""The old name of v2drop_cli; it goes with the next release."""

from typing import Any

from v2drop.renamed import warn


def main() -> Any:
    """See `v2drop_cli.main`."""
    import v2drop_cli

    warn("v2drop_scripts", "v2drop_cli", stacklevel=3)
    return v2drop_cli.main()
