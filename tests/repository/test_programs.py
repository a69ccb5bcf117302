"""Benchmarks and proofs, which take too long for the tests, at least begin: nothing that they import or name is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("tests/proofs/*.py")]


@pytest.mark.parametrize("words", [["benchmarks/bench.py"], ["benchmarks/memory.py"], ["-m", "proofs.batch_proof"]])
def test_they_say_what_they_do(words):
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, sys.path)])
    command = [sys.executable, *words, "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_every_name_that_they_import_is_there():
    """By mypy, as lmms-eval, which some of them need, is not installed here."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--check-untyped-defs"]
    command += ["--allow-untyped-defs", "--allow-incomplete-defs", *map(str, SOURCES)]
    path = os.pathsep.join(str(ROOT / root) for root in ("core", "adapters", "scripts", "tests", "benchmarks"))
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MYPYPATH": path}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert [line for line in lines if "[attr-defined]" in line or "[import-not-found]" in line] == []
