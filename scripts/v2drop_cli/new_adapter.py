"""`v2drop new-adapter`: create a distribution that adds an architecture, from the files in `template/`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

FILES = {  # the template's file: where it goes
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "{package}/__init__.py",
    "adapter.py": "{package}/adapter.py",
    "test_conformance.py": "tests/test_conformance.py",
}


def new_adapter(
    name: Annotated[str, typer.Argument(help="Name of the adapter, such as llava-onevision.")],
    model_type: Annotated[str, typer.Option(help="The config.model_type to serve, such as llava_onevision.")],
    out: Annotated[Path | None, typer.Option(help="Folder to create; by default ./v2drop-NAME.")] = None,
) -> None:
    """Write a distribution that adds an architecture: adapter, conformance test, pyproject and README."""
    from rich.console import Console

    from v2drop_terminal.errors import CommandError

    from .architectures import describe, names_of

    values = {**names_of(name), **describe(model_type)}
    folder = out or Path(values["distribution"])
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise CommandError(f"{folder} already exists: pass another --out, or delete it first")
    template = resources.files("v2drop_cli") / "template"
    for source, target in FILES.items():
        path = folder / target.format(**values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template((template / f"{source}.template").read_text()).substitute(values))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"wrote {folder} for {values['model_class']}")
    if values["doubt"]:
        console.print(f"warning: {values['doubt']}; see v2drop docs adding-an-architecture, 'What cannot work'")
    console.print(f"next: pip install -e '{folder}[dev]' && pytest -v {folder}")
    console.print("its tests fail until everything is filled in; for an example: v2drop docs adding-an-architecture")
