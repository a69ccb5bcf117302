"""The command lines in README and documentation: those of indented blocks, and of fenced blocks that are not Python."""

from __future__ import annotations

import io
import re
import runpy
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parent.parent.parent / "README.md"
DOCS = README.parent / "docs"
GENERATED = ("features-", "releases")  # name prefixes of pages without commands of their own
NO_COMMANDS = (
    "    model   llava",
    "    @inproceedings",
    "    options:",
)  # first words of blocks that hold no commands
MARK = "needs a GPU and a hub"

HERE = {  # commands that tests run, with replacements that make slow ones smaller
    "v2drop run": {},
    "v2drop run --retain 0.5 --overlay kept.png": {},
    "v2drop run --method fastv --stages '2:0.5,6:0'": {},
    "v2drop run --json": {},
    "v2drop run --model qwen2_vl --example video": {},
    "v2drop schedule --model llava --retain 0.4": {},
    "v2drop adapters": {},
    "v2drop compare-methods --model llava --retain 0.333 --questions 200": {"200": "3"},
    "v2drop compare-models --method v2drop --retain 0.333 --questions 200": {"200": "3"},
    "v2drop bench --geometry llava-1.5-7b --hidden 512": {"512": "32"},
    "v2drop show --model llava --out page.html": {},
    "v2drop docs": {},
    "v2drop new-adapter NAME --model-type TYPE": {"NAME": "vip-llava", "TYPE": "vipllava"},
    "python -m v2drop_lmms_eval.zoo_task --out out/tasks --questions 20": {"20": "2"},
}


@dataclass(frozen=True)
class CommandLine:
    """A line without its comment, whether the comment marks it as not runnable here, and the extra that it names."""

    text: str
    marked: bool
    extra: str | None


def command_lines(*pages: Path) -> list[CommandLine]:
    """The command lines of some pages, by default of all, in order."""
    written = [page for page in sorted(DOCS.glob("*.md")) if not page.name.startswith(GENERATED)]
    text = "\n\n".join(page.read_text() for page in pages or (README, *written))
    text = re.sub(r"^```python\n.*?^```$", "", text, flags=re.S | re.M)
    text = re.sub(
        r"^```\w*\n(.*?)^```$", lambda fence: re.sub("^", "    ", fence[1], flags=re.M), text, flags=re.S | re.M
    )
    blocks = re.findall(r"(?:^    .*\n)+", text, flags=re.M)
    lines = [line for block in blocks if not block.startswith(NO_COMMANDS) for line in block.splitlines()]
    parts = [line.strip().partition(" #") for line in lines]
    extras = [re.search(r"\(extra (\S+)\)", comment) for _, _, comment in parts]
    return [
        CommandLine(command.strip(), MARK in comment, extra and extra[1])
        for (command, _, comment), extra in zip(parts, extras, strict=True)
    ]


def run_here(words: Sequence[str]) -> tuple[object, str]:
    """Run `v2drop ...` or `python -m MODULE ...` in this process, which is faster; returns exit code and output."""
    program, *arguments = words
    printed, argv = io.StringIO(), sys.argv
    try:
        with redirect_stdout(printed):
            if program == "v2drop":
                from v2drop_cli.app import run_app

                sys.argv = list(words)
                run_app()
            else:
                assert (program, arguments[0]) == ("python", "-m"), words
                sys.argv = arguments[1:]
                runpy.run_module(arguments[1], run_name="__main__")
    except SystemExit as stop:
        return stop.code or 0, printed.getvalue()
    finally:
        sys.argv = argv
    raise AssertionError(f"{words} did not end")
