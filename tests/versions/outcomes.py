"""What was tested on which releases, in docs/releases.json, and the table that is made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from packaging.version import Version

from v2drop.releases import TESTED

from .overlay import PROJECT, asked_by_extras, pinned

DATA, PAGE = PROJECT / "docs" / "releases.json", PROJECT / "docs" / "releases.md"
HEAD = """# Releases that v2drop was tested on

The tests of the adapters, the core, and 100 fixed combinations of the fuzz, on each release, by `make test-versions
VERSIONS="5.6.0 newest" TORCH="2.6.0"`, which writes this table. CI runs all of them on the oldest release, on the one that is
pinned, and on the newest. Short runs make up 100 random cases for each architecture, and leave out what is done to a model,
such as torch.compile, PEFT and quantization. What is skipped, and why, stands in the tables of features
([newest](features-{newest}.md), [oldest](features-{oldest}.md)).

"""


@dataclass(frozen=True)
class Row:
    """Outcomes on one set of releases. `sources` is a digest of what was tested."""

    transformers: str
    torch: str
    python: str
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0
    short: bool = False
    sources: str = ""

    @property
    def outcome(self):
        told = f"**fails**: {', '.join(self.failures)}" if self.failed else "right"
        excluding = [extra for extra, asked in asked_by_extras().items() if not asked.contains(self.transformers)]
        return told + (f"; not for {', '.join(excluding)}, see pyproject.toml" if excluding else "")

    def told(self):
        told = f"transformers {self.transformers}, torch {self.torch}, Python {self.python}: "
        return told + f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped ({self.outcome})"


def table(rows):
    """The rows as Markdown, by release."""
    lines = [
        "| transformers | torch | Python | tests | passed | skipped | failed | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (Version(row.transformers), Version(row.torch))):
        cells = (
            row.transformers,
            row.torch,
            row.python,
            "short" if row.short else "all",
            row.passed,
            row.skipped,
            row.failed,
            row.outcome,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


class Outcomes:
    """The rows that docs/releases.json holds, one for each set of releases."""

    def __init__(self):
        held = json.loads(DATA.read_text()) if DATA.exists() else []
        self._rows = {self._key(row): row for row in (Row(**each) for each in held)}

    @staticmethod
    def _key(row):
        return row.transformers, row.torch, row.python.rpartition(".")[0]

    def find(self, versions, sources):
        """The row of these versions and sources, if it was tested and nothing failed."""
        row = self._rows.get(self._key(Row(*versions)))
        return row if row is not None and row.sources == sources and not row.failed else None

    def add(self, versions, short, counts, sources):
        row = Row(*versions, **counts, short=short, sources=sources)
        self._rows[self._key(row)] = row
        return row

    def write(self):
        rows = sorted(self._rows.values(), key=lambda row: (Version(row.transformers), Version(row.torch)))
        DATA.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        PAGE.write_text(HEAD.format(newest=pinned("transformers"), oldest=TESTED[0]) + table(rows))
