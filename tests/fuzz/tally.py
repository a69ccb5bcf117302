"""A pytest plugin: how many examples held, in all and by each value of each dimension, at the end of the run."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from v2drop.conformance.comparison import CLOSE

DIMENSIONS = {
    "architecture": lambda c: c.architecture,
    "samples": lambda c: len(c.media),
    "most media of a sample": lambda c: max(c.media),
    "padding": lambda c: c.padding_side if len(c.media) > 1 else "one sample",
    "mask": lambda c: "passed" if c.masked else "none",
    "prompt": lambda c: c.form,
    "stages": lambda c: len(c.stages),
    "min_tokens": lambda c: c.min_tokens,
    "metric": lambda c: c.metric,
    "attention": lambda c: c.attention,
    "mode": lambda c: c.mode if c.answers == 1 else f"{c.mode}, {c.answers} answers",
    "cache": lambda c: c.cache,
    "later turn": lambda c: {None: "none", 0: "of words", 1: "with new media"}[c.later_media],
    "before it": lambda c: c.between,
}


@pytest.fixture
def tally(record_property):
    tally = Tally()
    yield tally
    record_property("examples", list(tally.lines()))  # on a report, which comes from other processes too


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("", []):
        lines = dict(report.user_properties).get("examples")
        if lines:
            terminalreporter.section("random combinations")
            for line in lines:
                terminalreporter.line(line)


class Tally:
    """Outcomes: "held", "undecided" or "failed"."""

    def __init__(self):
        self.outcomes = Counter()
        self.by_dimension = {name: defaultdict(Counter) for name in DIMENSIONS}

    def add(self, combination, outcome):
        if self.outcomes["failed"]:
            return  # what follows a failure are hypothesis' steps to a smaller one
        self.outcomes[outcome] += 1
        for name, value_of in DIMENSIONS.items():
            self.by_dimension[name][value_of(combination)][outcome] += 1

    def lines(self):
        held, undecided, failed = (self.outcomes[name] for name in ("held", "undecided", "failed"))
        more = ", no more were run" if failed else ""
        yield (
            f"{self.outcomes.total():,} examples: {held:,} held, {undecided:,} undecided (scores closer than {CLOSE:g}), "
            f"{failed} failed{more}"
        )
        for name, values in self.by_dimension.items():
            yield f"{name}: " + ", ".join(f"{value} {told(values[value])}" for value in sorted(values))


def told(outcomes):
    """Held of all, such as 12 of 13."""
    held, total = outcomes["held"], outcomes.total()
    return f"{total}" if held == total else f"{held} of {total}"
