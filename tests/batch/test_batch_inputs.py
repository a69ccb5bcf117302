"""What `v2drop batch` reads: rows, their ids, and the blocks that they are cut into."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from v2drop_batch.blocks import Row
from v2drop_batch.inputs import find_input
from v2drop_batch.questions import question_of
from v2drop_terminal.errors import CommandError


def lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rows_of(asked):
    return [row for block in asked.blocks for row in block.rows()]


def test_each_line_is_in_one_block_and_blank_ones_in_none(tmp_path):
    written = [{"question": f"what is {n} ?"} for n in range(7)]
    path = lines(tmp_path / "q.jsonl", *written[:3], "", "  ", *written[3:])
    asked = find_input(path, None, 3)
    assert [len(block.ids) for block in asked.blocks] == [3, 3, 1]
    assert [block.number for block in asked.blocks] == [0, 1, 2]
    rows = rows_of(asked)
    assert [row.data for row in rows] == written
    assert [row.line for row in rows] == [1, 2, 3, 6, 7, 8, 9]
    assert [row.number for row in rows] == list(range(7))


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path):
    path = lines(tmp_path / "q.jsonl", '{"question": "one\u2028two\x85three"}', {"question": "four"})
    assert [row.data["question"] for row in rows_of(find_input(path, None, 9))] == ["one\u2028two\x85three", "four"]


def test_ids_are_a_rows_own_where_no_other_row_has_them(tmp_path):
    own = ["a", 7, "b", "b", None, "", True, "q.jsonl:9", "7 ", "\ud83d"]
    path = lines(tmp_path / "q.jsonl", *({"id": each, "question": "?"} for each in own), "{broken")
    ids = [row.id for row in rows_of(find_input(path, None, 4))]
    wanted = ["a", "7", "3", "4", "5", "6", "7", "8", "7 ", "10", "11"]
    places = (2, 3, 4, 5, 6, 7, 9, 10)
    assert ids == [f"q.jsonl:{each}" if n in places else each for n, each in enumerate(wanted)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("group", [2, 5, 100])
def test_parquet_rows_are_those_of_the_same_lines(tmp_path, group):
    written = [{"id": f"r{n}", "question": f"{n} ?", "image": f"{n}.png"} for n in range(11)]
    pq.write_table(pa.Table.from_pylist(written), tmp_path / "q.parquet", row_group_size=group)
    lines(tmp_path / "q.jsonl", *written)
    table, text = (rows_of(find_input(tmp_path / name, None, 3)) for name in ("q.parquet", "q.jsonl"))
    assert [(row.id, row.number, row.line, row.data) for row in table] == [
        (row.id, row.number, row.line, row.data) for row in text
    ]


def test_a_folders_tables_are_asked_one_after_the_other(tmp_path):
    lines(tmp_path / "b.jsonl", {"question": "b"})
    pq.write_table(pa.table({"question": ["a", "aa"]}), tmp_path / "a.parquet")
    (tmp_path / "notes.txt").write_text("no questions")
    rows = rows_of(find_input(tmp_path, None, 10))
    assert [row.id for row in rows] == ["a.parquet:1", "a.parquet:2", "b.jsonl:1"]
    assert [row.number for row in rows] == [0, 1, 2]


def test_a_folders_pictures_and_videos_are_asked_the_prompt(tmp_path):
    (tmp_path / "deep: er").mkdir()
    for name in ("b.png", "deep: er/a.JPG", "clip.mp4", "notes.txt", "notes.pdf", "._b.png"):
        (tmp_path / name).touch()
    rows = rows_of(find_input(tmp_path, "what is this ?", 2))
    assert [row.id for row in rows] == ["b.png", "clip.mp4", "deep: er/a.JPG"]
    assert rows[1].data == {"question": "what is this ?", "video": "clip.mp4"}
    assert question_of(rows[2], tmp_path).images == [tmp_path / "deep: er" / "a.JPG"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in ("a.png", ".b.png", ".cache/c.png", "deep/.hidden/d.png", "deep/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    asked = find_input(tmp_path, "what ?", 9)
    assert [row.id for row in rows_of(asked)] == ["a.png", "deep/e.png"]


def test_the_digest_changes_with_what_is_asked(tmp_path):
    path = lines(tmp_path / "q.jsonl", {"question": "one"}, {"question": "two"})
    before = find_input(path, None, 1).content
    assert find_input(path, None, 2).content == before
    assert find_input(lines(path, {"question": "one"}, {"question": "owt"}), None, 1).content != before
    tables = []
    for answer in ("left", "right"):
        pq.write_table(pa.table({"question": [answer]}), tmp_path / "q.parquet")
        tables.append(find_input(tmp_path / "q.parquet", None, 1).content)
    assert tables[0] != tables[1]


@pytest.mark.parametrize(
    ("name", "prompt", "message"),
    [
        ("missing.jsonl", None, "No such file"),
        ("notes.txt", None, "named .jsonl or .parquet"),
        ("damaged.parquet", None, "cannot read .*damaged.parquet"),
        ("empty.jsonl", None, "holds no row"),
        ("pictures", None, "holds no row .*pass --prompt"),
        ("empty", "what ?", "holds no picture or video"),
        ("empty.jsonl", "what ?", "asks about the pictures of a folder"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, name, prompt, message):
    (tmp_path / "notes.txt").write_text("?")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 nothing PAR1")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    for folder in ("pictures", "empty"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    with pytest.raises(CommandError, match=message):
        find_input(tmp_path / name, prompt, 5)


def row(tmp_path, data):
    return Row("r", 3, "q.jsonl", 4, data, tmp_path)


def test_media_are_paths_or_bytes_one_or_several(tmp_path):
    shown = ["a.png", b"bytes", {"bytes": b"more", "path": None}, {"bytes": None, "path": "b.png"}]
    question = question_of(row(tmp_path, {"question": "?", "image": shown, "video": "c.mp4", "fps": 3}), tmp_path / ".")
    first, second, third, fourth = question.images
    assert (first, fourth, question.video, question.fps) == (
        tmp_path / "a.png",
        tmp_path / "b.png",
        tmp_path / "c.mp4",
        3,
    )
    assert (second.read_bytes(), third.read_bytes()) == (b"bytes", b"more")
    assert question_of(row(tmp_path, {"question": "no media"}), tmp_path).files == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("not JSON: whatever", "not JSON: whatever"),
        ({}, "no question"),
        ({"question": " "}, "no question"),
        ({"question": 3}, "question is 3"),
        ({"question": "half \ud83d"}, "surrogates not allowed"),
        ({"question": "?", "image": 3}, "image is '3'"),
        ({"question": "?", "image": ["a.png", None]}, "image is 'None'"),
        ({"question": "?", "image": {"bytes": None}}, "image is 'None'"),
        ({"question": "?", "video": ""}, "video is ''"),
        ({"question": "?", "fps": 0}, "fps is 0"),
        ({"question": "?", "fps": "2"}, "fps is '2'"),
    ],
)
def test_a_bad_row_says_what_is_wrong(tmp_path, data, reason):
    with pytest.raises(ValueError, match=reason):
        question_of(row(tmp_path, data), tmp_path)
