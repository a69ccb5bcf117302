"""One run of the tests on what is laid over, counted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from .overlay import PROJECT, environment

TESTS = ("tests/adapters", "tests/core", "tests/fuzz")
ELSEWHERE = (
    "wrappers",
    "llava_flex",
    "placement",
    "several_devices",
    "tensor_parallel",
    "quantized",
    "conformance_kit",
)


def run_tests(folder, versions, workers, *, short=False, feature_table=False):
    """Counts of passed, skipped and failed tests, the names of the first that failed, and the seconds it took.

    `short`: 100 random cases for each architecture, the truth tests alone of the methods beside V2Drop, and not what runs on a
    model from outside (`ELSEWHERE`), such as torch.compile and PEFT.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-loadscope-reorder"]
    command += ["--numprocesses", workers, "--dist", "loadfile"]
    command += ["tests/adapters", "--feature-table"] if feature_table else TESTS
    if short:
        command += [
            "-k",
            "not OnLlava or truth",
            "--ignore=tests/fuzz/test_stock_limits.py",
        ]  # whose limits may be wider
        command += [f"--ignore=tests/adapters/test_{name}.py" for name in ELSEWHERE]
    with tempfile.TemporaryDirectory() as scratch:
        report, started = Path(scratch, "report.xml"), time.monotonic()
        command.append(f"--junitxml={report}")
        given = {**environment(folder), "V2DROP_TEST_TRANSFORMERS": versions[0], "V2DROP_TEST_SHORT": "1" * short}
        done = subprocess.run(command, cwd=PROJECT, env=given, check=False, stdout=sys.stderr)
        seconds = round(time.monotonic() - started)
        if done.returncode not in (0, 1) or not report.exists():
            return {"failed": 1, "failures": [f"pytest stopped with {done.returncode}"], "seconds": seconds}
        cases = list(ElementTree.parse(report).iter("testcase"))
    counts, failures = Counter(), []
    for case in cases:
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[outcome] += 1
        if outcome == "failed":
            failures.append(case.get("name"))
    return {**counts, "failures": failures[:5], "seconds": seconds}


def sources():
    """A digest of what is tested and what tests it."""
    files = sorted(
        file
        for root in ("core", "adapters", "tests/adapters", "tests/core", "tests/fuzz", "tests/support")
        for file in (PROJECT / root).rglob("*.py")
    )
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
