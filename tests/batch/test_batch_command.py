"""`v2drop batch` on Ray, with real actors: killed in the middle, interrupted, and gone on with."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from proofs.batch_proof_data import write_questions
from proofs.batch_proof_faults import EAGER, Run, actors_of
from support.readme_commands import command_lines

from v2drop_batch.answerer import Answer, Answerer, Settings
from v2drop_batch.inputs import find_input
from v2drop_loading.schedules import Keep
from v2drop_zoo import CHECKPOINTS

COUNT, BLOCK = 240, 5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("questions"), COUNT, 2, 0.05)


def readme_commands():
    """The arguments of the README's commands of bulk inference that need no cluster of their own and no hub."""
    lines = [line.text for line in command_lines() if line.text.startswith("v2drop batch") and not line.marked]
    about_questions, about_photos = (shlex.split(line)[2:] for line in lines)
    return about_questions, about_photos


@pytest.fixture(scope="module")
def options(written):
    """Of the README's first command, but for the folders, and with small blocks."""
    command = readme_commands()[0]
    assert command[:4] == ["--input", "questions.jsonl", "--out", "out"]
    assert command[4:] == ["--model", "llava", "--retain", "0.333"]
    return ("--input", written.file, *command[4:], "--max-new-tokens", 4, "--block", BLOCK)


@pytest.fixture(scope="module")
def wanted(written):
    """What one model answers in this process, by line."""
    answerer = Answerer(Settings("llava", "v2drop", Keep(0.333), 0, 4), 25)
    rows = [row for block in find_input(written.file, None, 100).blocks for row in block.rows()]
    return {each.line: each.answer for each in answerer.answer(rows) if isinstance(each, Answer)}


@pytest.fixture
def here(command):
    """Runs `v2drop batch` in this process: its exit code and what it prints."""
    return partial(command, "batch")


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of one node with two cores, as `ray start` makes it: its process and its address."""
    start = [
        Path(sys.executable).parent / "ray",
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        "--include-dashboard=false",
    ]
    port = 20000 + os.getpid() % 10000
    environment = {**os.environ, **EAGER, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen([*start, f"--port={port}"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "Ray runtime started" in line:
            break
    yield process, f"127.0.0.1:{port}"
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.communicate()


def answers_of(output):
    """The answers by line, as they stand in the folder at this moment."""
    lines = pq.read_table(output / "answers").to_pylist()
    answers = {row["line"]: row["answer"] for row in lines}
    assert len(answers) == len(lines), "a row was answered twice"
    return answers


def times_of(output):
    return {file.name: file.stat().st_mtime_ns for file in (output / "answers").glob("block-*")}


def test_a_run_that_is_stopped_in_every_way_answers_each_row_once(tmp_path, options, wanted, written, cluster, here):
    output = tmp_path / "out"
    node, address = cluster
    run = Run(output, *options, "--actors", 2, "--address", address)
    run.wait_for_blocks(4)
    run.process.kill()  # the cluster and the actors live on until Ray notices
    run.finish()
    assert answers_of(output).items() <= wanted.items()

    run = Run(output, *options)
    run.wait_for_blocks(len(times_of(output)) + 6)
    os.killpg(run.process.pid, signal.SIGINT)  # Ctrl-C in a terminal: to all of the group
    code, report, said = run.finish()
    assert (code, report) == (130, {})
    assert said.strip() == "stopped; finished answers are saved: run the same command again to resume"
    assert answers_of(output).items() <= wanted.items()
    done = times_of(output)
    assert BLOCK * len(done) == len(answers_of(output)) + pq.read_table(output / "rejected.parquet").num_rows

    run = Run(output, *options, "--actors", 2, "--address", address)
    run.wait_for_blocks(len(done) + 2)
    actors_of(node.pid)[0].kill()
    code, report, said = run.finish()
    assert code == 1, said
    assert answers_of(output) == wanted
    rejected = pq.read_table(output / "rejected.parquet")
    assert sorted(rejected["line"].to_pylist()) == sorted(written.corrupted)
    assert (report["rows"], report["answered"], report["rejected"]) == (COUNT, len(wanted), len(written.corrupted))
    assert (report["rows_before"], report["actors"]) == (BLOCK * len(done), 2)
    assert "12 rows were rejected" in said
    assert done.items() <= times_of(output).items(), "a block that was done was answered again"
    assert [file.name for file in output.rglob(".*")] == []

    # nothing is left to do, which needs no Ray
    code, printed = here(*options, "--out", output, "--json")
    again = json.loads(printed.out)
    assert (code, again["answered"], again["rows_per_second"]) == (1, len(wanted), None)
    code, printed = here(*options, "--out", output)
    assert "228 of 240, 240 rows before" in printed.out
    code, printed = here(*options, "--out", output, "--retain", 0.5)
    assert (code, printed.out) == (2, "")
    assert "retain was 0.333 and is now 0.5" in printed.err


def test_more_actors_than_a_cluster_has_room_for_are_refused(tmp_path, options, cluster, here):
    code, printed = here(*options, "--out", tmp_path / "out", "--actors", 3, "--address", cluster[1])
    assert (code, printed.out) == (2, "")
    assert "--actors 3: there are 2 cores and 0 GPUs" in printed.err


def test_a_model_that_no_actor_can_load_is_told_in_the_last_line(tmp_path, options, cluster, here):
    shutil.copytree(CHECKPOINTS / "llava", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"torn")
    model = ("--model", tmp_path / "model")
    code, printed = here(*options, "--out", tmp_path / "out", *model, "--address", cluster[1])
    assert (code, printed.out) == (2, "")
    assert printed.err.splitlines()[-1].startswith(f"Error: the actors failed: cannot load {tmp_path / 'model'}")


def test_a_folder_of_photos_is_asked_as_the_readme_says(tmp_path, written, cluster):
    (tmp_path / "photos").mkdir()
    for name in (f"{line}.png" for line in sorted(written.right)[:2]):
        shutil.copy(written.file.parent / name, tmp_path / "photos" / name)
    (tmp_path / "photos" / "broken.png").touch()
    run = [sys.executable, "-m", "v2drop_cli", "batch", *readme_commands()[1]]
    environment = {**os.environ, "RAY_ADDRESS": cluster[1]}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "2 of 3" in done.stdout
    answers = pq.read_table(tmp_path / "out-photos" / "answers").to_pylist()
    assert {row["question"] for row in answers} == {"which digit is at the top ?"}
    assert [row["id"] for row in answers] == sorted(f"{line}.png" for line in sorted(written.right)[:2])
    [rejected] = pq.read_table(tmp_path / "out-photos" / "rejected.parquet").to_pylist()
    assert (rejected["id"], "empty" in rejected["reason"]) == ("broken.png", True)


def test_mistakes_end_with_2_before_anything_starts(here, options, tmp_path):
    for wrong, message in (
        (("--method", "nonsense"), "nonsense"),
        (("--retain", 0), "budget"),
        (("--model", "nonsense"), "no model 'nonsense'"),
        (("--preset", "llava-1.5-192", "--retain", 0.5), "contradict"),
        (("--prompt", "what ?"), "pictures of a folder"),
        (("--input", tmp_path / "missing"), "cannot read"),
    ):
        code, printed = here(*options[:2], "--out", tmp_path / "out", *wrong)
        assert (code, printed.out) == (2, ""), printed
        assert message in printed.err
    assert not (tmp_path / "out").exists()
