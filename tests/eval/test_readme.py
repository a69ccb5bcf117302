"""The README's lines for lmms-eval without a hub, run as they are, one after the other."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.readme_commands import command_lines, run_here


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each line prints."""
    here = [line.text for line in command_lines() if not line.marked]
    lines = dict.fromkeys(line for line in here if "v2drop eval" in line or "lmms_eval" in line)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        for line in sorted(lines, key=lambda line: "zoo_task" not in line):  # the list of commands stands before it
            words = shlex.split(line)
            if "lmms_eval" in words:  # it leaves too much behind in a process
                done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
                code, found[line] = done.returncode, done.stdout
            else:
                code, found[line] = run_here(words)
            assert code == 0, line
    return found


def test_each_prints_a_table(printed):
    assert len(printed) == 3
    tables = [text for line, text in printed.items() if "zoo_task" not in line]
    assert all("zoo_llava" in text for text in tables)
    assert sum("accuracy" in text for text in tables) == 1
    assert all("retained" in text for text in tables)


def test_lmms_eval_knows_every_task_of_the_papers_tables():
    from lmms_eval.tasks import TaskManager

    text = (Path(__file__).parent.parent.parent / "scripts" / "paper_tables.sh").read_text()
    six = next(line for line in text.splitlines() if line.startswith("SIX="))
    named = {*six.removeprefix("SIX=").split(","), "mvbench", "videomme"}
    assert named <= set(TaskManager().all_tasks)
    assert all(f"--tasks {each}" in text for each in ("$SIX", "mvbench,videomme"))
