"""`v2drop batch` on Ray, with real actors: killed in the middle, interrupted, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from v2drop_batch.answering import Answer, Answerer, Settings
from v2drop_batch.inputs import find_input
from v2drop_batch.proof_data import write_questions
from v2drop_batch.proof_faults import Run

COUNT, BLOCK = 160, 5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("questions"), COUNT, 2, 0.05)


@pytest.fixture(scope="module")
def options(written):
    return ("--input", written.file, "--retain", 0.333, "--max-new-tokens", 4, "--block", BLOCK)


@pytest.fixture(scope="module")
def wanted(written):
    """What one model answers in this process, by line."""
    answerer = Answerer(Settings("llava", "v2drop", None, 0.333, 0, 4), 25)
    rows = [row for block in find_input(written.file, None, 100).blocks for row in block.rows()]
    return {each.line: each.answer for each in answerer.answer(rows) if isinstance(each, Answer)}


@pytest.fixture
def here(capsys, monkeypatch):
    """Runs the command in this process: its exit code and what it prints."""

    def call(*arguments):
        from v2drop_scripts.app import run_app

        monkeypatch.setattr(sys, "argv", ["v2drop", "batch", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_app()
        return stop.value.code, capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a cluster of one node with two cores, as `ray start` makes it."""
    start = [Path(sys.executable).parent / "ray", "start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false"]
    port = 20000 + os.getpid() % 10000
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen([*start, f"--port={port}"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "Ray runtime started" in line:
            break
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=60)


def answers_of(output):
    table = pq.read_table(output / "answers").to_pylist()
    lines = [row["line"] for row in table]
    assert len(set(lines)) == len(lines), "a row was answered twice"
    return {row["line"]: row["answer"] for row in table}


def test_killed_driver_and_killed_actor_every_row_is_answered_exactly_once(tmp_path, options, wanted, written, here):
    output = tmp_path / "out"
    first = Run(output, *options)
    first.wait_for_blocks(4)
    first.process.kill()
    first.process.wait()
    before = answers_of(output)
    assert before.items() <= wanted.items()
    done = {file.name: file.stat().st_mtime_ns for file in (output / "answers").glob("block-*")}

    second = Run(output, *options, "--actors", 2)
    second.wait_for_blocks(len(done) + 6)
    second.actors()[0].kill()
    code, report, said = second.finish()
    assert code == 1, said
    assert answers_of(output) == wanted
    rejected = pq.read_table(output / "rejected.parquet")
    assert sorted(rejected["line"].to_pylist()) == sorted(written.corrupted)
    assert (report["rows"], report["answered"], report["rejected"]) == (COUNT, len(wanted), len(written.corrupted))
    assert report["answered_before"] >= 4 * BLOCK
    assert "8 rows were rejected" in said
    for name, time in done.items():
        assert (output / "answers" / name).stat().st_mtime_ns == time, "a block that was done was written again"
    assert [file.name for file in output.rglob(".*")] == []

    # nothing is left to do: the report comes without Ray
    code, printed = here(*options, "--output", output, "--json")
    again = json.loads(printed.out)
    assert (code, again["answered"], again["rows_per_second"]) == (1, len(wanted), None)
    code, printed = here(*options, "--output", output)
    assert "152 of 160, 160 rows before" in printed.out
    code, printed = here(*options, "--output", output, "--preset", "reference-llava")
    assert code == 2
    assert "contradict" in printed.err
    code, printed = here(*options, "--output", output, "--retain", 0.5)
    assert (code, printed.out) == (2, "")
    assert "retain was 0.333 and is now 0.5" in printed.err


def test_ctrl_c_says_how_to_go_on_and_a_cluster_goes_on(tmp_path, options, wanted, cluster):
    output = tmp_path / "out"
    run = Run(output, *options, "--actors", 2, "--address", cluster)
    run.wait_for_blocks(4)
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    code, report, said = run.finish()
    assert (code, report) == (130, {})
    assert "run the same command again to go on" in said
    before = answers_of(output)
    assert 4 * BLOCK - 8 <= len(before) < len(wanted)
    assert pq.read_table(output / "rejected.parquet").num_rows <= 8

    code, report, said = Run(output, *options, "--address", cluster).finish()
    assert (code, report["actors"]) == (1, 1), said
    assert answers_of(output) == wanted


def test_more_actors_than_a_cluster_has_room_for_are_refused(tmp_path, options, cluster):
    code, report, said = Run(tmp_path / "out", *options, "--actors", 3, "--address", cluster).finish()
    assert (code, report) == (2, {})
    assert "--actors 3: there are 2 cores and 0 GPUs" in said


def test_mistakes_end_with_2_before_anything_starts(here, options, tmp_path):
    for wrong, message in (
        (("--method", "nonsense"), "nonsense"),
        (("--retain", 0), "budget"),
        (("--model", "nonsense"), "no model 'nonsense'"),
        (("--preset", "llava-1.5-192", "--retain", 0.5), "contradict"),
        (("--prompt", "what ?"), "pictures of a folder"),
        (("--input", tmp_path / "missing"), "cannot read"),
    ):
        code, printed = here(*options[:2], "--output", tmp_path / "out", *wrong)
        assert (code, printed.out) == (2, ""), printed
        assert message in printed.err
    assert not (tmp_path / "out").exists()
