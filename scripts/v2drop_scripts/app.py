"""The command line as a whole: its subcommands, and how errors reach the user."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

import v2drop

from .adapters import adapters
from .run import run
from .schedule import schedule

app = typer.Typer(
    help="Faster stock vision-language models: drop the vision tokens that have stopped changing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(schedule)
app.command()(adapters)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Options of the command itself."""
    if version:
        typer.echo(v2drop.__version__)
        raise typer.Exit()


def run_app() -> None:
    """Run the command; what v2drop refuses is printed without a traceback, with exit code 2."""
    try:
        app()
    except v2drop.V2DropError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Error:[/] {_escaped(str(error))}")
        sys.exit(2)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
