"""Runs the adapters', the core's and the fuzz tests on other releases of transformers and torch.

    make test-versions VERSIONS="5.0.0 5.6.0 newest" TORCH="2.6.0"

`newest` is what pip resolves at this moment. What was right with these very sources is not tested again, so the same command goes
on after a stop. Exits 1 if a test failed or a release cannot be installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from .outcomes import Outcomes, table
from .overlay import NEWEST, installed, lay_over, pinned
from .testing import run_tests, sources


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="versions", description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", help="releases of transformers, such as 5.6.0, or newest")
    parser.add_argument("--torch", nargs="*", default=[], help="releases of torch, each with the pinned transformers")
    parser.add_argument("--again", action="store_true", help="test again what was right with these sources")
    parser.add_argument("--write", action="store_true", help="write docs/releases.json and .md")
    parser.add_argument(
        "--unless-pinned", action="store_true", help="leave out what constraints.txt pins: make test tests it"
    )
    parser.add_argument(
        "--feature-table", action="store_true", help="the adapters' tests alone; write their table of features"
    )
    parser.add_argument(
        "--short", action="store_true", help="fewer random cases, and not what runs on a model from outside"
    )
    parser.add_argument("--workers", default="2", help="test files at a time (default: 2)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    chosen = parser.parse_args(arguments)
    wanted = [(version, None) for version in chosen.versions] + [
        (pinned("transformers"), torch) for torch in chosen.torch
    ]
    outcomes, digest, rows, wrong = Outcomes(), sources(), [], 0
    for number, (version, torch) in enumerate(wanted, start=1):
        tell(f"{number} of {len(wanted)}: transformers {version}{f', torch {torch}' if torch else ''}")
        try:
            folder = lay_over(version, torch)
        except RuntimeError as reason:
            tell(f"cannot be installed here: {reason}")
            wrong += 1
            continue
        versions = installed(folder)
        if chosen.unless_pinned and versions[0] == pinned("transformers"):
            tell(f"that is transformers {versions[0]}, which is pinned and which make test tests")
            continue
        row = None if chosen.again or chosen.feature_table else outcomes.find(versions, digest)
        if row is None:
            row = outcomes.add(
                versions,
                chosen.short,
                run_tests(folder, versions, chosen.workers, short=chosen.short, feature_table=chosen.feature_table),
                digest,
            )
        tell(row.told())
        rows.append(row)
        wrong += row.failed > 0
        if version == NEWEST:
            tell_newest(row)
        if chosen.write:
            outcomes.write()
    print(json.dumps([asdict(row) for row in rows], indent=1) if chosen.json else table(rows))
    return int(wrong > 0)


def tell(line):
    print(line, file=sys.stderr, flush=True)


def tell_newest(row):
    """What to do about the release that users get today."""
    if row.failed:
        tell(
            f"v2drop fails on transformers {row.transformers}, which pip installs today: mend that, or exclude the release "
            "by != in pyproject.toml"
        )
    elif row.transformers != pinned("transformers"):
        tell(f"constraints.txt can move to transformers {row.transformers}")


if __name__ == "__main__":
    sys.exit(main())
