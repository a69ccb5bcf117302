"""Breaks one thing after the other on purpose, in a copy of this project, and shows which test notices.

    make mutants

A mutant that no test notices survives; one whose text is no longer in the source is stale. Either way it exits 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from .caching import CACHING
from .comparing import COMPARING
from .evaluation import EVALUATION
from .generation import GENERATION
from .media import MEDIA
from .method import METHOD
from .runner import Runner
from .surroundings import SURROUNDINGS

PROJECT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "out")
MUTANTS = [*METHOD, *GENERATION, *CACHING, *SURROUNDINGS, *EVALUATION, *COMPARING, *MEDIA]


def table(verdicts):
    shown = Table("row", "broken", "noticed by", "seconds", title="mutants")
    for verdict in verdicts:
        noticed = verdict.fate == "noticed"
        told = escape(verdict.told.split("::", 1)[-1] if noticed else f"{verdict.fate.upper()}: {verdict.told}")
        shown.add_row(
            verdict.mutant.row, verdict.mutant.broken, told, f"{verdict.seconds:.1f}", style=None if noticed else "red"
        )
    return shown


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="mutants with these words in their row or what they break"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    chosen = parser.parse_args(arguments)
    mutants = [each for each in MUTANTS if chosen.only.lower() in f"{each.row}: {each.broken}".lower()]
    if not mutants:
        parser.error(f"no mutant has {chosen.only!r} in its row or what it breaks")
    errors = Console(stderr=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(PROJECT, Path(scratch, "project"), ignore=LEFT_OUT))
        try:
            judged = Runner(copy).judge(mutants)
            verdicts = list(track(judged, total=len(mutants), description="mutants", console=errors))
        except RuntimeError as reason:
            errors.print(str(reason), markup=False)
            return 2
    if chosen.json:
        print(json.dumps([verdict.to_dict() for verdict in verdicts], indent=1))
    else:
        fates = Counter(verdict.fate for verdict in verdicts)
        Console().print(table(verdicts), ", ".join(f"{count} {fate}" for fate, count in fates.items()))
    return 0 if all(verdict.fate == "noticed" for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
