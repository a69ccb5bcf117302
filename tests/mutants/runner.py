"""Runs chosen tests of a project in processes of their own, with one mutant after the other planted in it.

The processes are forked from one that has loaded torch and transformers but nothing of the project, which saves most
of the time that a test takes to begin.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from .mutant import Mutant, StaleMutantError

PRELOADED = (
    "pytest",
    "hypothesis",
    "torch._dynamo",
    "transformers.models.llava.modeling_llava",
    "transformers.generation",
)
ROOTS = ("core", "adapters", "scripts", "tests")
SECONDS, GRACE = 300, 10  # what takes longer hangs: tests, and a process that has run them


@dataclass
class Run:
    """What came of running tests: ids of those that passed and failed, files that were imported, and what was printed."""

    code: int = -1
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)
    printed: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    `fate` is "noticed" (a test failed), "survived", "stale", "untested" (its tests are skipped here) or "unclear" (they
    could not be run, or did not import the file that is broken); `told` is the id of the test that failed, or the reason.
    """

    mutant: Mutant
    fate: str
    told: str
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """As plain data, ready for JSON."""
        return {**asdict(self.mutant), "fate": self.fate, "told": self.told, "seconds": round(self.seconds, 1)}


class Runner:
    """Tests of one project folder.

    Args:
        project: holds `core`, `tests` and so on, and pytest's settings; mutants are planted in it, so pass a copy.
        preloaded: modules that processes begin with.
    """

    def __init__(self, project: Path, preloaded: Sequence[str] = PRELOADED) -> None:
        self.project = project.resolve()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preloaded))

    def test(self, tests: Sequence[str], *options: str) -> Run:
        """Run tests of the project, in a new process."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_in_process, args=(self.project, tests, options, sender))
        process.start()
        sender.close()
        try:
            return receiver.recv() if receiver.poll(SECONDS) else Run(printed=f"no end after {SECONDS} s")
        except EOFError:
            return Run(printed="the process died")
        finally:
            process.join(GRACE)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it has left running
            process.join()

    def judge(self, mutants: Sequence[Mutant]) -> Iterator[Verdict]:
        """Plant each mutant and run its tests. Raises RuntimeError if one of them fails on the project as it is."""
        tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        whole = self.test(tests)
        if whole.code != pytest.ExitCode.OK:
            raise RuntimeError(f"these tests do not pass even with nothing broken: {whole.failed}\n{whole.printed}")
        for mutant in mutants:
            start = time.perf_counter()
            if any(map(mutant.covers, whole.passed)):
                fate, told = self._judge(mutant)
            else:
                fate, told = "untested", "its tests are skipped here"
            yield Verdict(mutant, fate, told, time.perf_counter() - start)

    def _judge(self, mutant: Mutant) -> tuple[str, str]:
        try:
            with mutant.planted(self.project):
                run = self.test(mutant.tests, "-x")
        except StaleMutantError as reason:
            return "stale", str(reason)
        if run.code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return "unclear", run.printed
        if str(self.project / mutant.file) not in run.imported:
            return "unclear", f"the tests did not import this copy of {mutant.file}"
        return ("noticed", run.failed[0]) if run.failed else ("survived", "every test passed")


def _in_process(project: Path, tests: Sequence[str], options: Sequence[str], sender: Connection) -> None:
    os.setsid()  # so that what the tests start can be ended with them
    roots = [str(project / root) for root in ROOTS]
    given = map(os.path.abspath, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    os.environ["PYTHONPATH"] = os.pathsep.join([*roots, *given])  # for what the tests start
    os.chdir(project)
    sys.dont_write_bytecode = True  # compiled files are told apart by second and size, and a mutant may have both
    with TemporaryFile("w+") as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        run = Run()
        arguments = ["-q", "-p", "no:cacheprovider", f"--rootdir={project}", *options, *tests]
        run.code = pytest.main(arguments, plugins=[_Recorder(run)])
        run.imported = {
            str(path) for module in list(sys.modules.values()) if (path := getattr(module, "__file__", None))
        }
        printed.seek(0)
        run.printed = printed.read()[-4000:]
        sender.send(run)


class _Recorder:
    """A pytest plugin that notes which tests passed and which failed."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._run.failed.append(report.nodeid)
        elif report.passed and report.when == "call":
            self._run.passed.append(report.nodeid)
