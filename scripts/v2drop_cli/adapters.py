"""`v2drop adapters`: list the supported architectures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer


def adapters(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list and nothing else.")] = False,
) -> None:
    """List the architectures that the installed adapters support."""
    from rich.console import Console

    import v2drop

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
    lines = [("model type", "adapter", "from"), *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines)
    Console().print(text, highlight=False, soft_wrap=True, markup=False)


def _cells(row: Mapping[str, str | None]) -> tuple[str, str, str]:
    source = " ".join(filter(None, (row["distribution"], row["version"])))
    return row["model_type"] or "-", row["adapter"] or "-", source or "-"
