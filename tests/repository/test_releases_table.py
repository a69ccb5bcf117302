"""The table of releases that `make test-versions` wrote, and what ships as tested."""

from __future__ import annotations

import json

from support.readme_commands import DOCS

from v2drop.releases import TESTED

ROWS = json.loads((DOCS / "releases.json").read_text())


def test_what_ships_as_tested_is_what_was_tested():
    """The oldest and the newest are tested by CI, as a whole and each time; the others are rows of the table."""
    assert {row["transformers"] for row in ROWS} | {TESTED[0], TESTED[-1]} == set(TESTED)
    assert len(TESTED) >= 10


def test_every_row_is_right():
    assert [row["transformers"] for row in ROWS if row["failed"]] == []
    assert min(row["passed"] for row in ROWS) > 1000
