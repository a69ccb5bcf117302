"""`v2drop docs`: read the documentation in the terminal."""

from __future__ import annotations

import json
from importlib.metadata import files
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson

CHECKOUT = Path(__file__).resolve().parents[2] / "docs"
INSTALLED = "share/v2drop/docs"  # where a wheel puts the pages


def docs(
    topic: Annotated[
        str | None, typer.Argument(help="A page, such as limits; by default all pages are listed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a page of the documentation, or list all pages."""
    from rich.console import Console
    from rich.markdown import Markdown

    from v2drop_terminal.errors import CommandError

    found = pages()
    if topic is not None and topic not in found:
        raise CommandError(f"no page {topic!r}: there are {', '.join(found) or 'none, as they are not installed'}")
    if topic is not None:
        text = found[topic].read_text("utf-8")
        if as_json:
            typer.echo(json.dumps({"topic": topic, "text": text}))
        else:
            Console().print(Markdown(text))
        return
    titles = {name: page.read_text("utf-8").partition("\n")[0].lstrip("# ") for name, page in found.items()}
    if as_json:
        typer.echo(json.dumps(titles))
        return
    width = max(map(len, titles), default=0)
    for name, title in titles.items():
        Console().print(f"v2drop docs {name:{width}}  {title}", highlight=False, markup=False)


def pages() -> dict[str, Path]:
    """The pages by topic: those of the checkout if there is one, else those installed with the package."""
    if (CHECKOUT / "quick-start.md").exists():
        found = list(CHECKOUT.glob("*.md"))
    else:
        listed = [file for file in files("v2drop") or () if INSTALLED in file.parent.as_posix()]
        found = [path for path in (Path(str(file.locate())).resolve() for file in listed) if path.suffix == ".md"]
    return {page.stem: page for page in sorted(found) if page.stem not in ("index", "api")}
