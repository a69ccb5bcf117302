"""The old name of v2drop_cli; it goes with the next release."""

from v2drop.renamed import warn
from v2drop_cli import main as main

warn("v2drop_scripts", "v2drop_cli", stacklevel=2)
