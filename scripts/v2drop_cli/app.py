"""The command line application with its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from .adapters import adapters
from .batch import batch
from .bench import bench
from .compare_methods import compare_methods
from .compare_models import compare_models
from .docs import docs
from .eval import evaluate
from .new_adapter import new_adapter
from .old_options import CommandWithOldOptions
from .run import run
from .schedule import schedule
from .show import show

app = typer.Typer(
    help="Faster stock vision-language models: drop the vision tokens that have stopped changing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(schedule)
app.command()(compare_methods)
app.command()(compare_models)
app.command(cls=CommandWithOldOptions)(bench)
app.command(cls=CommandWithOldOptions)(batch)
app.command("eval")(evaluate)
app.command()(show)
app.command()(adapters)
app.command()(new_adapter)
app.command()(docs)


def print_version(wanted: bool) -> None:
    """Print the version and stop, before typer complains about a missing subcommand."""
    if wanted:
        import v2drop

        typer.echo(v2drop.__version__)
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Options of the command itself."""


def run_app() -> None:
    """Run the command; v2drop's own errors are printed without a traceback, with exit code 2."""
    try:
        app()
    except Exception as error:  # imported only now: it imports torch, which --help and completion should not wait for
        from v2drop_terminal.errors import tell

        tell(error)
