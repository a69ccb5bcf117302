"""Runs of `v2drop batch` that are killed at a chosen moment, for the proof and the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from v2drop_batch.store import ANSWERS

WORKER = "ray::MapWorker"  # Ray's name for the process of an actor
EAGER = {"RAY_worker_niceness": "0"}  # Ray's actors else wait behind whatever else the machine does
PATIENCE = 300.0  # seconds


class Run:
    """`v2drop batch` as a process of its own, in a process group of its own, as a shell starts it."""

    def __init__(self, output: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "v2drop_cli", "batch", "--json", "--out", output, *arguments]
        self.process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **EAGER},
            start_new_session=True,
            preexec_fn=_heed_interrupts,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output = output

    def wait_for_blocks(self, count: int) -> None:
        """Wait until at least so many blocks are there. Raises RuntimeError where the run ends before, or takes too long."""
        started = time.monotonic()
        while len(list((self.output / ANSWERS).glob("block-*"))) < count:
            if self.process.poll() is not None or time.monotonic() - started > PATIENCE:
                raise RuntimeError(f"no {count} blocks: {self.process.poll()}")
            time.sleep(0.01)

    def finish(self) -> tuple[int, dict[str, Any], str]:
        """Wait for its end: exit code, report ({} without one), and what it said besides."""
        out, error = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, json.loads(out) if out else {}, error


def _heed_interrupts() -> None:
    """Ctrl-C counts, also where this process is a background job and ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def actors_of(process: int) -> list[psutil.Process]:
    """The actors' processes, the first one first, of the Ray that a process started."""
    children = psutil.Process(process).children(recursive=True)
    found = [child for child in children if child.is_running() and child.name().startswith(WORKER)]
    return sorted(found, key=lambda child: child.create_time())
