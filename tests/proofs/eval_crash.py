"""Kill one process of a run in the middle, and see how the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from v2drop_lmms_eval.cost_summary import records_of
from v2drop_lmms_eval.runs import ANSWERS, Run
from v2drop_measuring.journal import JOURNAL

PATIENCE = 300  # seconds, for a run to get going or to end


def kill_in_the_middle(run: Run, rank: int) -> dict[str, Any]:
    """Kill the process of this rank, as by kill -9, once it has answered something; the launcher's exit code and time to it."""
    journal = run.folder / ANSWERS / f"process-{rank}" / JOURNAL
    launcher = subprocess.Popen(run.command, env={**os.environ, **run.environment}, stdout=sys.stderr)
    try:
        deadline = time.monotonic() + PATIENCE
        while not journal.exists() or journal.read_text().count("\n") < 2:
            if launcher.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the run did not get going: exit code {launcher.poll()}")
            time.sleep(0.02)
        os.kill(_worker(launcher.pid, rank), signal.SIGKILL)
        killed = time.monotonic()
        return {"exit_code": launcher.wait(PATIENCE), "seconds_to_end": time.monotonic() - killed}
    finally:
        launcher.kill()


def _worker(launcher: int, rank: int) -> int:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    wanted = f"RANK={rank}".encode()
    return next(int(pid) for pid in children if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def answered(run: Run) -> list[str]:
    """Keys of the answers that a run's processes have on disk, each as often as it is there."""
    return [key for record in records_of(run.folder / ANSWERS) for key, _ in record["answers"]]
