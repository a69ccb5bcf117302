"""`v2drop adapters`: which architectures are installed."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import v2drop


def adapters(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list and nothing else.")] = False,
) -> None:
    """List the architectures that an installed adapter serves."""
    rows = [
        {
            "model_type": name,
            "adapter": point.value,
            "distribution": point.dist.name if point.dist else None,
            "version": point.dist.version if point.dist else None,
        }
        for name, point in v2drop.registered_adapters().items()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("model type", "adapter", "distribution", "version")
    for row in rows:
        table.add_row(*(str(value or "-") for value in row.values()))
    Console().print(table)
