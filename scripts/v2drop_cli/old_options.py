"""Options that have other names now: the old ones work for one release, with a note. Then this file goes."""

from __future__ import annotations

import sys
from typing import Any

import typer.core

OLD_OPTIONS = {"batch": {"--output": "--out", "--batch": "--batch-size"}, "bench": {"--batch": "--batch-size"}}


class CommandWithOldOptions(typer.core.TyperCommand):
    """A command that takes old names of its options too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        renamed = OLD_OPTIONS[self.name or ""]
        for number, argument in enumerate(args):
            name, equals, value = argument.partition("=")
            if name in renamed:
                new = renamed[name]
                print(f"Note: {name} is {new} now; the old name goes with the next release", file=sys.stderr)
                args[number] = f"{new}{equals}{value}"
        return super().parse_args(ctx, args)
