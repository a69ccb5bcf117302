"""What the examples came to, at the end of the run."""

from __future__ import annotations

import pytest
from fuzz.tally import Tally

TALLY = pytest.StashKey[Tally]()


def pytest_configure(config):
    config.stash[TALLY] = Tally()


@pytest.fixture
def tally(request):
    return request.config.stash[TALLY]


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash[TALLY]
    if tally.outcomes:
        terminalreporter.section("random combinations")
        for line in tally.lines():
            terminalreporter.line(line)
