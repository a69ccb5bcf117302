"""Rows of a comparison, from a journal written by hand: every number is what one computes oneself."""

from __future__ import annotations

import csv
import time

import pytest
import torch
from PIL import Image
from support.tiny_llava import tiny_llava

import v2drop
from v2drop_comparing.contenders import Contender
from v2drop_comparing.given_answers import answers_of, as_rows, differences_of, write_answers
from v2drop_comparing.harness import Subject
from v2drop_comparing.results import MEASURED, rows
from v2drop_comparing.tasks import Asked, Task
from v2drop_measuring.journal import Journal
from v2drop_measuring.significance import ratio_interval
from v2drop_measuring.timing import LanguageModelTimer

HALF = v2drop.Schedule([(3, 0.0)])  # of 6 layers
COUNT = 8
RIGHT = {"dense": "11111110", "fastv": "11110010", "random": "00010000", "random again": "01010000"}
TIMES = {"dense": ((0.4, 0.2), (0.2, 0.1), (0.9, 0.3)), "fastv": ((0.1, 0.1), (0.2, 0.3), (0.3, 0.2))}
OFF = (0.01, 0.01, -0.03)  # how far batches are off; together they are not, as the last has fewer tokens
PLACES = ((4, 1.0, 0), (4, 2.0, 9), (2, 1.0, 5))  # how many a batch kept, the sum of their places, and their bin
HELD = {"dense": ((900, 100), (500, 100), (300, 150)), "fastv": ((180, 100), (140, 120), (200, 110))}


class Nothing(Task):
    """Eight questions that nobody loads."""

    name, max_new_tokens = "nothing", 1
    questions = tuple(
        Asked("odd" if number % 2 else "even", f"question {number}", f"{number}.png", ["yes"])
        for number in range(COUNT)
    )

    def load(self, numbers):
        raise NotImplementedError

    def picture(self, number):
        if number == 1:
            raise OSError("is gone")
        return Image.new("RGB", (8 + number, 8))


def places_of(count, total, place):
    return {"3": {"count": count, "sum": total, "histogram": [count * (each == place) for each in range(10)]}}


def journal_of(retained):
    journal = Journal(None, {})
    where = {"model": "tiny", "modality": "image"}
    for other in ({"model": "other"}, {"modality": "video"}):  # of other subjects, in the same journal
        wrong = {"numbers": [0], "right": [False], "retained": 0.9, "vision_tokens": 999, "peak": 1, "rest": 0}
        for method, budget in (("dense", None), ("fastv", 0.5), ("fastv", 0.25)):
            key = {**where, **other} if budget != 0.25 else where
            who = {"method": method, "budget": budget, "draw": 0}
            journal.add({**key, "record": "batch", "start": 0, "places": {}, **who, **wrong, "answers": ["no"]})
    for name, right in RIGHT.items():
        method, _, again = name.partition(" ")
        draw, budget = int(bool(again)), None if method == "dense" else 0.5
        for batch, numbers in enumerate(([0, 1, 2], [3, 4, 5], [6, 7])):
            peak, rest = HELD.get(method, HELD["dense"])[batch]
            journal.add(
                {
                    **where, "record": "batch", "start": numbers[0], "method": method, "budget": budget, "draw": draw,
                    "numbers": numbers, "right": [right[number] == "1" for number in numbers],
                    "answers": ["yes" if right[number] == "1" else f"no, {method}" for number in numbers],
                    "retained": 1.0 if budget is None else retained + OFF[batch], "vision_tokens": 16 * len(numbers),
                    "peak": peak, "rest": rest, "places": places_of(*PLACES[batch]) if budget else {},
                }
            )  # fmt: skip
        for start, (prefill, decode) in enumerate(() if draw else TIMES.get(method, ())):
            taken = {"prefill": prefill, "decode": decode, "kv_bytes": 100 + 3 * start**2, "flops": 3 * 2**start}
            who = {"method": method, "budget": budget, "draw": 0}
            journal.add({**where, "record": "timed", "start": start, **who, **taken})
    return journal


def subject_of(draws=1):
    contenders = [
        Contender("dense", None, v2drop.Schedule([])),
        Contender("fastv", 0.5, HALF),
        *(Contender("random", 0.5, HALF, draw=draw) for draw in range(draws)),
    ]
    return Subject("tiny", "image", tiny_llava(), None, Nothing(), contenders)


def rows_of(retained=0.5, draws=1, against=None):
    return {row["method"]: row for row in rows(subject_of(draws), journal_of(retained), against)}


def test_every_number_is_what_one_computes_by_hand():
    dense, fastv, random = rows_of().values()
    assert (dense["accuracy"], fastv["accuracy"], random["accuracy"]) == (7 / 8, 5 / 8, 1 / 8)
    assert (fastv["asked"], fastv["right"], fastv["retained"]) == pytest.approx((8, 5, 0.5))
    assert fastv["by_kind"] == {"even": [3, 4], "odd": [2, 4]}
    assert fastv["of_dense"] == pytest.approx(5 / 7)
    right, reference = [int(each) for each in RIGHT["fastv"]], [int(each) for each in RIGHT["dense"]]
    assert fastv["of_dense_interval"] == list(ratio_interval(right, reference))
    assert dense["of_dense_interval"] is None
    assert fastv["interval"] == pytest.approx([0.3057, 0.8632], abs=1e-4)  # Wilson, z = 1.96
    assert fastv["p_random"] == pytest.approx(2 * (1 / 2) ** 4)  # four questions differ, all one way
    assert dense["p_random"] is random["p_random"] is None
    assert (fastv["prefill_ms"], fastv["decode_ms"], fastv["total_ms"]) == pytest.approx((200, 200, 500))
    assert fastv["prefill_quartiles"] == pytest.approx([150, 250])
    assert fastv["prefill_ratio_quartiles"] == pytest.approx([(1 / 4 + 1 / 3) / 2, (1 / 3 + 1) / 2])
    assert random["seeds"] is random["p_against"] is None
    assert fastv["prefill_ratio"] == pytest.approx(1 / 3)  # of 1/4, 1 and 1/3
    assert fastv["decode_ratio"] == pytest.approx(2 / 3)  # of 1/2, 3 and 2/3
    assert (fastv["kv_bytes"], fastv["flops"]) == (105, 7)
    assert (fastv["peak_bytes"], fastv["working_bytes"]) == (180, 80)  # medians: what comes first takes more
    assert (dense["peak_bytes"], dense["working_bytes"]) == (500, 400)
    assert random["prefill_ms"] is None
    assert (dense["of_dense"], dense["prefill_ratio"], dense["decode_ratio"], dense["retained"]) == (1, 1, 1, 1)
    assert (dense["position"], fastv["position"]["mean"]) == (None, pytest.approx(4 / 10))
    assert fastv["position"]["histogram"] == [0.4, 0, 0, 0, 0, 0.2, 0, 0, 0, 0.4]
    assert [stage["layer"] for stage in fastv["position"]["stages"]] == [3]
    assert {row["error"] for row in (dense, fastv, random)} == {None}


def test_several_seeds_of_random_are_averaged_and_tested_one_by_one():
    _, fastv, random = rows_of(draws=2, against="random").values()
    assert random["seeds"] == [1 / 8, 2 / 8]
    assert (random["accuracy"], random["asked"], random["right"]) == (1.5 / 8, 8, 1.5)
    assert random["by_kind"] == {"even": [0, 4], "odd": [1.5, 4]}
    assert random["of_dense"] == pytest.approx(1.5 / 7)
    assert random["error"] is None
    # four questions differ, all one way; from the second seed three
    assert fastv["p_random"] == fastv["p_against"] == pytest.approx((2 * (1 / 2) ** 4 + 2 * (1 / 2) ** 3) / 2)


def test_every_method_is_tested_against_the_one_that_is_named():
    dense, fastv, random = rows_of(against="fastv").values()
    assert dense["p_against"] is fastv["p_against"] is None
    assert random["p_against"] == fastv["p_random"]
    dense, fastv, _ = rows_of(against="dense").values()
    assert dense["p_against"] is None
    assert fastv["p_against"] == pytest.approx(0.5)  # two questions, both lost


def test_every_answer_is_a_row_and_those_unlike_denses_are_shown_with_their_picture(tmp_path):
    subject, journal = subject_of(draws=2), journal_of(0.5)
    answers = answers_of(subject, journal)
    assert len(answers) == 4 * COUNT
    written = tmp_path / "answers.csv"
    write_answers(as_rows(subject, answers, seed=7), written)
    lines = list(csv.DictReader(written.open()))
    assert lines[0] == {
        "model": "tiny", "modality": "image", "number": "0", "kind": "even", "question": "question 0", "media": "0.png",
        "wanted": "yes", "method": "dense", "budget": "", "seed": "7", "answer": "yes", "right": "1",
    }  # fmt: skip
    assert [line["seed"] for line in lines[-COUNT:]] == ["8"] * COUNT
    found = differences_of(subject, answers)
    assert (found.count, found.asked) == (7, 8)  # all say the same to one of them
    first, *_ = found.shown
    assert (first.question, first.dense.answer) == ("question 4", "yes")
    assert [(said.method, said.answer, said.right) for said in first.others] == [
        ("fastv", "no, fastv", False),
        ("random", "no, random", False),
    ]
    assert first.picture.startswith("data:image/jpeg;base64,")
    assert [one.picture == "" for one in found.shown] == [one.question == "question 1" for one in found.shown]


def test_a_batch_of_which_nothing_could_be_read_spoils_no_other():
    journal = journal_of(0.5)
    empty = {"record": "batch", "model": "tiny", "modality": "image", "start": 8, "numbers": []}
    for method, budget, draw in (("dense", None, 0), ("fastv", 0.5, 0), ("random", 0.5, 0)):
        journal.add({**empty, "method": method, "budget": budget, "draw": draw})
    assert len(answers_of(subject_of(), journal)) == 3 * COUNT
    assert {row["asked"] for row in rows(subject_of(), journal)} == {COUNT}


def test_what_was_not_timed_for_dense_has_no_ratio_and_what_could_not_run_says_why():
    dense = Contender("dense", None, v2drop.Schedule([]))
    contenders = [dense, Contender("fastv", 0.5, HALF), Contender("dart", 0.5, None, "no")]
    journal = journal_of(0.5)
    journal.records = [each for each in journal.records if (each["record"], each["method"]) != ("timed", "dense")]
    _, fastv, dart = rows(Subject("tiny", "image", tiny_llava(), None, Nothing(), contenders), journal)
    assert (fastv["prefill_ratio"], fastv["decode_ratio"], fastv["p_random"]) == (None, None, None)
    assert fastv["prefill_ms"] == pytest.approx(200)
    assert dart["unreachable"] == "no"
    assert {dart[name] for name in ("schedule", *MEASURED)} == {None}


def test_a_budget_that_was_not_kept_is_told():
    found = rows_of(retained=0.6)
    assert "retained 0.6000 instead of 0.5000" in found["fastv"]["error"]
    assert found["dense"]["error"] is None


@pytest.mark.parametrize(("part", "counted"), [("vision_tower", False), ("language_model", True)])
def test_only_the_language_model_is_timed(part, counted):
    model = tiny_llava()
    getattr(model.model, part).register_forward_hook(lambda *_: time.sleep(0.1))
    inputs = {"input_ids": torch.tensor([[1, *[99] * 16, 5]]), "pixel_values": torch.randn(1, 3, 20, 20)}
    with LanguageModelTimer(model) as timer, torch.no_grad():
        tokens = model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
        model(**inputs)  # in which pictures are encoded; some releases do that before what `generate` calls
    assert tokens.shape[1] == 18 + 3
    assert len(timer.seconds) == 3 + 1
    assert min(timer.seconds) > 0
    assert [seconds >= 0.1 for seconds in timer.seconds] == [counted] * 4
