"""A pytest plugin that makes docs/features-VERSION.md, a table of features and adapters, from the test outcomes.

A row is a test of the conformance kit or a `feature` mark; a column is an adapter. `--feature-table` writes the table;
a run of all adapter tests without it fails if the outcomes differ from the table.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import transformers

from v2drop.conformance import AdapterConformance

DOCS = Path(__file__).parent.parent.parent / "docs"
HEAD = """# What works, with transformers {version}

Made by `make features` from the outcomes of the tests that ran: each cell is a test. "no" is what the stock model cannot do
either, "refused" what v2drop refuses, with its message. Do not edit.
"""
WORKS = "works", None


def pytest_addoption(parser):
    parser.addoption("--feature-table", action="store_true", help="write docs/features-VERSION.md")


def pytest_configure(config):
    config.addinivalue_line("markers", "feature(section, name): a row of docs/features-VERSION.md; needs `subject`")
    config.pluginmanager.register(FeatureTable(config))


class FeatureTable:
    def __init__(self, config):
        self.config = config
        self.cells = defaultdict(dict)  # outcomes by (section, name), then by adapter

    def pytest_collection_modifyitems(self, items):
        for item in items:
            feature = feature_of(item)
            if feature is not None:
                item.user_properties.append(("feature", feature))

    def pytest_runtest_logreport(self, report):
        told = dict(report.user_properties)
        if "feature" not in told or (report.when != "call" and report.passed):
            return
        section, name, adapter = told["feature"]
        if report.skipped:
            outcome = "no", str(report.longrepr[2]).removeprefix("Skipped: ")
        elif report.failed:
            outcome = "FAILED", None
        else:
            outcome = ("refused", told["refused"]) if "refused" in told else WORKS
        before = self.cells[section, name].get(adapter, WORKS)
        self.cells[section, name][adapter] = outcome if before == WORKS else before

    @property
    def path(self):
        return DOCS / f"features-{transformers.__version__}.md"

    def render(self):
        adapters = sorted({adapter for row in self.cells.values() for adapter in row})
        sections, notes = defaultdict(list), {}
        for (section, name), row in sorted(self.cells.items()):  # whatever order the tests ran in
            shown = [self._cell(row.get(adapter), notes) for adapter in adapters]
            sections[section].append(f"| {name} | {' | '.join(shown)} |")
        parts = [HEAD.format(version=transformers.__version__)]
        for section, rows in sections.items():
            header = f"| | {' | '.join(adapters)} |\n|---|{'---|' * len(adapters)}"
            parts.append(f"## {section}\n\n{header}\n" + "\n".join(rows) + "\n")
        parts += [f"{number}. {note}" for note, number in notes.items()]
        return "\n".join(parts).rstrip() + "\n"

    @staticmethod
    def _cell(outcome, notes):
        word, note = outcome or ("", None)
        return word if note is None else f"{word} ({notes.setdefault(note, len(notes) + 1)})"

    def pytest_sessionfinish(self, session):
        if hasattr(self.config, "workerinput"):
            return  # a pytest-xdist worker, which saw only a part of the tests
        if self.config.getoption("--feature-table"):
            self.path.write_text(self.render())
        elif self._is_whole(session) and self.path.exists() and self.path.read_text() != self.render():
            self.config.get_terminal_writer().line(f"\n{self.path.name} is not what the tests say: run `make features`")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_whole(self, session):
        given = {str(argument).rstrip("/") for argument in self.config.args}
        chosen = ("keyword", "markexpr", "deselect", "lf")  # the last one's plugin may be off
        selected = any(getattr(self.config.option, name, None) for name in chosen)
        return not (selected or session.testsfailed or self.config.option.collectonly) and bool(
            given & {"tests", "tests/adapters"}
        )


def feature_of(item):
    """Section, name and adapter of a test's row and column; None if it is not in the table."""
    mark = item.get_closest_marker("feature")
    if mark is not None:
        return (*mark.args, item.callspec.params["subject"].adapter.model_types[0])
    kind, name = getattr(item, "cls", None), item.name
    if kind is None or not issubclass(kind, AdapterConformance) or not hasattr(AdapterConformance, name):
        return None
    if kind.method != "v2drop":
        return None
    owner = next(parent for parent in kind.__mro__ if name in vars(parent) and parent.__module__.startswith("v2drop."))
    section = owner.__doc__.splitlines()[0].rstrip(".")
    return section, name.removeprefix("test_").replace("_", " "), kind.adapter.model_types[0]
