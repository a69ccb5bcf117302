"""The runner of `make mutants`, on a project of two functions."""

from __future__ import annotations

import pytest
from mutants.__main__ import MUTANTS, PROJECT
from mutants.mutant import Mutant
from mutants.runner import Runner

SOURCE = """
def double(number):
    return 2 * number

def half(number):
    return number / 2
"""
TESTS = """
import pytest
from tiny import double, half

@pytest.mark.parametrize("number", [1, 2])
def test_double(number):
    assert double(number) == number + number

def test_half():
    assert half(2) == 1

def test_nothing():
    pass

@pytest.mark.skip
def test_skipped():
    assert double(1) == 2

def test_wrong():
    assert double(1) == 3
"""
TRIPLES = {"row": "double", "broken": "triples", "file": "core/tiny.py", "old": "2 * number", "new": "3 * number"}


def mutant(*tests, **changes):
    return Mutant(**{**TRIPLES, **changes}, tests=tuple(f"tests/test_tiny.py::{test}" for test in tests))


@pytest.fixture
def project(tmp_path):
    for name, text in {
        "core/tiny.py": SOURCE,
        "core/other.py": SOURCE,
        "tests/test_tiny.py": TESTS,
        "pytest.ini": "[pytest]\npythonpath = core",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_mutants_are_noticed_or_survive_or_are_stale(project):
    mutants = [
        mutant("test_half", "test_double"),
        mutant("test_half", "test_nothing"),
        mutant("test_double", old="2 * numbers"),
        mutant("test_double", old="number"),
        mutant("test_skipped"),
        mutant("test_double", file="core/other.py"),
        mutant("test_double", new="2 *"),
        mutant("test_half", old="number / 2", new="number"),
    ]
    verdicts = list(Runner(project, preloaded=["pytest"]).judge(mutants))
    told = [(verdict.fate, verdict.told) for verdict in verdicts]
    assert told[:5] == [
        ("noticed", "tests/test_tiny.py::test_double[1]"),
        ("survived", "every test passed"),
        ("stale", "core/tiny.py holds 0 times: 2 * numbers"),
        ("stale", "core/tiny.py holds 4 times: number"),
        ("untested", "its tests are skipped here"),
    ]
    assert told[5] == ("unclear", "the tests did not import this copy of core/other.py")
    assert told[6][0] == "unclear"
    assert "SyntaxError" in told[6][1]
    assert told[7] == ("noticed", "tests/test_tiny.py::test_half")
    assert (project / "core/tiny.py").read_text() == SOURCE
    assert verdicts[0].to_dict()["broken"] == "triples"


def test_tests_that_fail_with_nothing_broken_judge_nothing(project):
    with pytest.raises(RuntimeError, match=r"nothing broken: \['tests/test_tiny.py::test_wrong'\]"):
        next(Runner(project, preloaded=["pytest"]).judge([mutant("test_wrong"), mutant("test_half")]))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.broken)
def test_no_mutant_is_stale(mutant):
    assert (PROJECT / mutant.file).read_text().count(mutant.old) == 1
    assert all((PROJECT / test.partition("::")[0]).exists() for test in mutant.tests)
