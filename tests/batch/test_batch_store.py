"""The folder that `v2drop batch` writes: whole files only, each block once, one run's settings."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from hashlib import sha256

import pyarrow.parquet as pq
import pytest

from v2drop_batch.answerer import Answer, Rejected
from v2drop_batch.quiet import stderr_to
from v2drop_batch.store import ATTEMPTS, Store, Summary, check_export
from v2drop_terminal.errors import CommandError


def answer(name):
    return Answer(name, "q.jsonl", 1, "what ?", "this", 10, 4.5, 20, 2, 0.1)


def ids(store):
    return pq.read_table(store.answers)["id"].to_pylist()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "out")
    store.start({"model": "llava"})
    return store


def test_answers_of_all_blocks_are_one_table_and_rejected_rows_another(store):
    store.write(0, [answer("a"), Rejected("b", "q.jsonl", 2, "no picture"), answer("c")])
    store.write(1, [Rejected("d", "q.jsonl", 4, "no question")])
    store.write(12, [answer("e")])
    store.write_rejected([0, 1, 12])
    assert ids(store) == ["a", "c", "e"]
    assert pq.read_table(store.folder / "rejected.parquet").to_pylist() == [
        {"id": "b", "file": "q.jsonl", "line": 2, "reason": "no picture"},
        {"id": "d", "file": "q.jsonl", "line": 4, "reason": "no question"},
    ]
    assert store.summary(0) == Summary(2, 1, 20, 9.0, 40, 4)
    assert store.summary(1) == Summary(0, 1)
    assert store.summary(0) + store.summary(12) == Summary(3, 1, 30, 13.5, 60, 6)


def test_a_block_that_is_written_twice_is_there_once(store):
    for _ in range(2):
        store.write(3, [answer("a"), answer("b")])
    assert ids(store) == ["a", "b"]


def test_a_half_written_file_is_no_answer_and_goes_with_the_next_run(store):
    store.write(0, [answer("a")])
    whole = next(store.answers.iterdir()).read_bytes()
    torn = store.answers / ".block-000001.parquet-0a.tmp"
    torn.write_bytes(whole[: len(whole) // 2])
    assert ids(store) == ["a"]
    assert not store.holds(1)
    store.start({"model": "llava"})
    assert not torn.exists()
    assert ids(store) == ["a"]


def test_a_write_that_fails_leaves_the_folder_as_it_was(store):
    with pytest.raises(TypeError):
        store.write(0, [answer("a"), Answer("b", *[object()] * 9)])
    assert not store.holds(0)


def test_a_block_whose_actor_dies_is_begun_a_few_times_a_run(store):
    for _ in range(ATTEMPTS):
        store.begin(4)
    with pytest.raises(CommandError, match="died 3 times"):
        store.begin(4)
    store.begin(5)
    store.start({"model": "llava"})
    store.begin(4)
    store.write(4, [answer("a")])
    assert list(store.answers.glob(".*4*")) == []


@pytest.mark.parametrize("settings", [{"model": "qwen2_vl"}, {"model": "llava", "retain": 0.5}])
def test_a_run_with_other_settings_is_refused(store, settings):
    with pytest.raises(CommandError, match=r"(model|retain) was .* and is now .*; pass the same settings"):
        store.start(settings)
    store.start({"model": "llava"})


def test_what_changed_is_told_in_words(tmp_path):
    def settings(**files):
        content = {
            name: {"rows": len(text), "sha256": sha256(text.encode()).hexdigest()} for name, text in files.items()
        }
        return {"model": "llava", "questions": content}

    store = Store(tmp_path / "out")
    store.start(settings(a="one", b="two"))
    for files, told in (
        ({"a": "one", "b": "owt"}, "settings: what is in questions, b changed;"),
        (
            {"a": "one", "b": "three"},
            "settings: questions, b, rows was 3 and is now 5, what is in questions, b changed;",
        ),
        ({"a": "one"}, "settings: questions, b is gone;"),
        ({"a": "one", "b": "two", "c": "three"}, "settings: questions, c is new;"),
    ):
        with pytest.raises(CommandError) as refused:
            store.start(settings(**files))
        assert told in str(refused.value)
        assert not re.search("[0-9a-f]{64}", str(refused.value))


def test_what_is_written_on_stderr_meanwhile_goes_to_a_file(tmp_path, capfd):
    with stderr_to(tmp_path / "ray.log") as shown:
        os.write(2, b"from C++\n")
        print("progress", file=shown, flush=True)
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "progress\nafter\n"
    assert (tmp_path / "ray.log").read_text() == "from C++\n"
    with stderr_to(tmp_path / "empty.log"):
        pass
    assert not (tmp_path / "empty.log").exists()


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_answers_can_be_one_file_of_lines(store, tmp_path, ending):
    store.write(1, [answer("c, d")])
    store.write(0, [answer("a"), Rejected("b", "q.jsonl", 2, "no picture")])
    file = tmp_path / f"answers{ending}"
    store.export([0, 1], file)
    text = file.read_text()
    rows = (
        list(csv.DictReader(text.splitlines())) if ending == ".csv" else [json.loads(row) for row in text.splitlines()]
    )
    assert [row["id"] for row in rows] == ["a", "c, d"]
    assert list(rows[0]) == pq.read_table(store.answers).column_names
    assert float(rows[0]["tokens_kept"]) == 4.5


@pytest.mark.parametrize("name", ["answers.xlsx", "nowhere/answers.csv"])
def test_a_file_of_lines_that_cannot_be_written_is_refused(tmp_path, name):
    with pytest.raises(CommandError, match="cannot write"):
        check_export(tmp_path / name)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(CommandError, match="not empty and not a run of v2drop batch"):
        Store(tmp_path).start({})
    with pytest.raises(CommandError, match="not empty and not a run"):
        Store(tmp_path / "thesis.txt").start({})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CommandError, match="cannot read"):
        Store(tmp_path).start({})
    assert (tmp_path / "thesis.txt").read_text() == "do not touch"
