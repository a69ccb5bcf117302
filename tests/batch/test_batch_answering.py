"""What a pool's actor does with its rows, without the pool: the answers, and what becomes of rows that cannot be answered."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from proofs.batch_proof_data import CORRUPTIONS, write_questions
from support.media_files import frames, write_video

from v2drop_batch.answerer import Answer, Answerer, Rejected, Settings
from v2drop_batch.inputs import find_input
from v2drop_batch.length_batches import cut_batches
from v2drop_batch.questions import question_of
from v2drop_comparing.experiment import Settings as Compared
from v2drop_comparing.experiment import run_comparison
from v2drop_loading.generation import answer_lengths, is_right
from v2drop_loading.schedules import Keep
from v2drop_measuring.journal import JOURNAL
from v2drop_zoo import CHECKPOINTS

SETTINGS = Settings("llava", "v2drop", Keep(0.333), 0, 16)
QUESTIONS = 40


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("questions"), QUESTIONS, 5, 0.0)


@pytest.fixture(scope="module")
def answerer():
    return Answerer(SETTINGS, 8)


@pytest.fixture(scope="module")
def watcher():
    return Answerer(replace(SETTINGS, model="qwen2_vl"), 8)


@pytest.fixture(scope="module")
def rows(written):
    return [row for block in find_input(written.file, None, 100).blocks for row in block.rows()]


@pytest.fixture(scope="module")
def answered(answerer, rows):
    return answerer.answer(rows)


def rows_about(tmp_path, *data):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in data))
    return [row for block in find_input(path, None, 100).blocks for row in block.rows()]


def texts(outcomes):
    return [outcome.answer if isinstance(outcome, Answer) else outcome for outcome in outcomes]


@pytest.mark.parametrize("method", ["v2drop", "fastv", "random"])
def test_answers_are_right_where_those_of_compare_methods_are(method, written, rows, tmp_path):
    outcomes = Answerer(replace(SETTINGS, method=method), 7).answer(rows)
    settings = Compared("compare-methods", [("llava", "image")], [method], (0.333,), QUESTIONS, 0, 0, written.file, 16)
    run_comparison(settings, tmp_path, quiet=True)
    records = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()[1:]]
    mine = [record for record in records if record["record"] == "batch" and record["method"] == method]
    right = [each for record in sorted(mine, key=lambda record: record["start"]) for each in record["right"]]
    truth = [written.right[row.line] for row in rows]
    assert [is_right(outcome.answer, [one]) for outcome, one in zip(outcomes, truth, strict=True)] == right
    kept, tokens = (sum(getattr(each, name) for each in outcomes) for name in ("tokens_kept", "vision_tokens"))
    wanted = sum(each["retained"] * each["vision_tokens"] for each in mine) / sum(
        each["vision_tokens"] for each in mine
    )
    assert kept / tokens == pytest.approx(wanted)


def test_answers_are_those_of_run(rows, answered, written, command):
    for row, outcome in list(zip(rows, answered, strict=True))[:4]:
        picture, prompt = written.file.parent / row.data["image"], row.data["question"]
        _, printed = command("run", "--json", "--retain", "0.333", "--image", picture, "--prompt", prompt)
        data = json.loads(printed.out)["dropped"]
        assert data["answer"] == outcome.answer


def test_a_row_is_answered_the_same_in_every_batch(answerer, rows, answered):
    alone = [outcome for row in rows[:10] for outcome in answerer.answer([row])]
    assert texts(alone) == texts(answered[:10])


def test_each_answer_tells_its_row_and_its_tokens(rows, answered):
    for row, outcome in zip(rows, answered, strict=True):
        assert (outcome.id, outcome.line, outcome.question) == (row.id, row.line, row.data["question"])
        assert outcome.vision_tokens == 144
        assert outcome.tokens_kept == pytest.approx(0.333 * 144, abs=1.5)
        assert 144 < outcome.prompt_tokens < 170
        assert outcome.answer_tokens == 2  # a word, and the end
        assert outcome.seconds > 0


@pytest.mark.parametrize(
    "settings", [replace(SETTINGS, keep=Keep(1.0)), replace(SETTINGS, method="dense", keep=Keep())]
)
def test_everything_can_be_kept(settings, rows):
    outcomes = Answerer(settings, 8).answer(rows[:8])
    assert [outcome.tokens_kept for outcome in outcomes] == [144.0] * 8


def test_corrupted_rows_are_rejected_and_spoil_no_other(answerer, tmp_path):
    written = write_questions(tmp_path, 30, 3, 0.3)
    rows = [row for block in find_input(written.file, None, 100).blocks for row in block.rows()]
    outcomes = answerer.answer(rows)
    rejected = {outcome.line: outcome for outcome in outcomes if isinstance(outcome, Rejected)}
    assert rejected.keys() == written.corrupted.keys()
    reasons = {
        "cut line": "not JSON", "no question": "question is None", "no such picture": "no image file",
        "picture cut off": "truncated", "picture is text": "no picture in a format", "path is a number": "image is '7'",
    }  # fmt: skip
    for line, how in written.corrupted.items():
        assert reasons[how] in rejected[line].reason
    assert set(written.corrupted.values()) == set(CORRUPTIONS)
    fine = [row for row in rows if row.line in written.right]
    assert texts(answerer.answer(fine)) == [each.answer for each in outcomes if isinstance(each, Answer)]


def test_what_only_the_processor_refuses_spoils_no_other(answerer, rows, answered, tmp_path):
    bad = replace(rows[3], data={**rows[3].data, "question": "what is <image> ?"})  # a placeholder without a picture
    outcomes = answerer.answer([*rows[:3], bad, *rows[4:8]])
    assert isinstance(outcomes[3], Rejected)
    assert texts(outcomes[:3] + outcomes[4:]) == texts(answered[:3] + answered[4:8])


def test_a_batch_that_lacks_memory_is_halved(answerer, rows, answered):
    """The model runs out of memory with more than three rows, and with any that asks about no picture."""
    sizes = []

    def too_large(module, args, kwargs):
        ids = kwargs["input_ids"]
        if ids.shape[1] > 1:
            sizes.append(len(ids))
            if len(ids) > 3 or not (ids == module.config.image_token_id).any(1).all():
                raise torch.OutOfMemoryError("no room")

    hook = answerer._model.register_forward_pre_hook(too_large, with_kwargs=True)
    try:
        bare = replace(rows[8], data={"question": "what is the largest digit ?"})
        outcomes = answerer.answer([*rows[:7], bare])
    finally:
        hook.remove()
    assert texts(outcomes[:7]) == texts(answered[:7])
    assert outcomes[7] == Rejected(bare.id, "questions.jsonl", bare.line, "no room")
    assert sizes == [8, 4, 2, 2, 4, 2, 2, 1, 1]


def test_rows_without_media_and_with_several_pictures_stand_in_one_batch(watcher, tmp_path):
    picture = str(CHECKPOINTS / "qwen2_vl" / "example.png")
    asked = "where is the 2 ?"
    data = [
        {"question": asked, "image": picture},
        {"question": asked},
        {"question": asked, "image": [picture, picture]},
        {
            "question": asked,
            "image": picture,
            "video": str(write_video(tmp_path / "clip.mp4", frames(side=96))),
            "fps": 2,
        },
        {"question": asked, "video": str(CHECKPOINTS / "qwen2_vl" / "example.mp4"), "fps": 8},
    ]
    rows = rows_about(tmp_path, *data)
    outcomes = watcher.answer(rows)
    assert all(isinstance(outcome, Answer) for outcome in outcomes), outcomes
    one, none, two, both, video = outcomes
    assert (none.vision_tokens, none.tokens_kept) == (0, 0.0)
    assert two.vision_tokens == 2 * one.vision_tokens > 0
    assert both.vision_tokens > one.vision_tokens
    assert video.vision_tokens > 0
    assert texts(outcomes) == [texts(watcher.answer([row]))[0] for row in rows]


def test_a_video_for_a_model_that_takes_none_is_rejected(answerer, tmp_path):
    [outcome] = answerer.answer(rows_about(tmp_path, {"question": "?", "video": "clip.mp4"}))
    assert "take pictures, not videos" in outcome.reason


def test_what_is_no_text_is_rejected_in_words_that_can_be_written(answerer, tmp_path):
    data = [{"question": "half \ud83d"}, {"question": "?", "image": "half \ud83d.png"}]
    for outcome in answerer.answer(rows_about(tmp_path, *data)):
        assert isinstance(outcome, Rejected)
        outcome.reason.encode()


def test_pictures_as_bytes_in_parquet_are_answered_as_files_are(answerer, rows, answered, written, tmp_path):
    table = [
        {"question": row.data["question"], "image": {"bytes": (written.file.parent / row.data["image"]).read_bytes()}}
        for row in rows[:6]
    ]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "q.parquet")
    [block] = find_input(tmp_path / "q.parquet", None, 10).blocks
    assert texts(answerer.answer(block.rows())) == texts(answered[:6])


def test_batches_hold_prompts_of_similar_lengths(watcher, tmp_path):
    """Sorted by the tokens of pictures and text; padding would else be the larger part of some batches."""
    from PIL import Image

    data = []
    for number in range(12):
        name, side = f"{number}.png", (56, 112, 224)[number % 3]
        Image.new("RGB", (side, side)).save(tmp_path / name)
        data.append({"question": "where is the 2 ?", "image": name})
    asked = [(row, question_of(row, tmp_path)) for row in rows_about(tmp_path, *data)]
    batches = cut_batches(asked, watcher._processor, 4)
    lengths = [[outcome.prompt_tokens for outcome in watcher.answer([row for row, _ in batch])] for batch in batches]
    assert [len(set(each)) for each in lengths] == [1, 1, 1]
    assert lengths == sorted(lengths, reverse=True)


def test_an_answers_length_counts_its_end_and_not_what_follows(answerer):
    end = torch.as_tensor(answerer._model.generation_config.eos_token_id).flatten()[0].item()
    other = end + 1
    tokens = torch.tensor([[other, end, end, end], [other, other, other, other], [end, other, other, other]])
    assert answer_lengths(tokens, answerer._model) == [2, 4, 1]
