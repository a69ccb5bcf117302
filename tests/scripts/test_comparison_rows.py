"""Rows of a comparison, from a journal written by hand: every number is what one computes oneself."""

from __future__ import annotations

import time

import pytest
import torch
from tiny_llava import tiny_llava

import v2drop
from v2drop_scripts.comparing import Subject
from v2drop_scripts.entrants import Entrant
from v2drop_scripts.journal import Journal
from v2drop_scripts.results import MEASURED, rows
from v2drop_scripts.tasks import Asked, Task
from v2drop_scripts.timing import LanguageModelTimer

HALF = v2drop.Schedule([(3, 0.0)])  # of 6 layers
COUNT = 8
RIGHT = {"dense": "11111110", "fastv": "11110010", "random": "00010000"}
TIMES = {"dense": ((0.4, 0.2), (0.2, 0.1), (0.9, 0.3)), "fastv": ((0.1, 0.1), (0.2, 0.3), (0.3, 0.2))}
OFF = (0.01, 0.01, -0.03)  # how far batches are off; together they are not, as the last has fewer tokens
PLACES = ((4, 1.0, 0), (4, 2.0, 9), (2, 1.0, 5))  # how many a batch kept, the sum of their places, and their bin
HELD = {"dense": ((900, 100), (500, 100), (300, 150)), "fastv": ((180, 100), (140, 120), (200, 110))}


class Nothing(Task):
    """Eight questions that nobody loads."""

    name, max_new_tokens = "nothing", 1
    questions = tuple(Asked("odd" if number % 2 else "even", ["yes"]) for number in range(COUNT))

    def load(self, numbers):
        raise NotImplementedError


def places_of(count, total, place):
    return {"3": {"count": count, "sum": total, "histogram": [count * (each == place) for each in range(10)]}}


def journal_of(retained):
    journal = Journal(None, {})
    where = {"model": "tiny", "modality": "image"}
    for other in ({"model": "other"}, {"modality": "video"}):  # of other subjects, in the same journal
        wrong = {"numbers": [0], "right": [False], "retained": 0.9, "vision_tokens": 999, "peak": 1, "rest": 0}
        for method, budget in (("dense", None), ("fastv", 0.5), ("fastv", 0.25)):
            key = {**where, **other} if budget != 0.25 else where
            journal.add(
                {**key, "record": "batch", "start": 0, "method": method, "budget": budget, "places": {}, **wrong}
            )
    for method, right in RIGHT.items():
        budget = None if method == "dense" else 0.5
        for batch, numbers in enumerate(([0, 1, 2], [3, 4, 5], [6, 7])):
            peak, rest = HELD.get(method, HELD["dense"])[batch]
            journal.add(
                {
                    **where, "record": "batch", "start": numbers[0], "method": method, "budget": budget,
                    "numbers": numbers, "right": [right[number] == "1" for number in numbers],
                    "retained": 1.0 if budget is None else retained + OFF[batch], "vision_tokens": 16 * len(numbers),
                    "peak": peak, "rest": rest, "places": places_of(*PLACES[batch]) if budget else {},
                }
            )  # fmt: skip
        for start, (prefill, decode) in enumerate(TIMES.get(method, ())):
            taken = {"prefill": prefill, "decode": decode, "kv_bytes": 100 + 3 * start**2, "flops": 3 * 2**start}
            journal.add({**where, "record": "timed", "start": start, "method": method, "budget": budget, **taken})
    return journal


def rows_of(retained=0.5):
    entrants = [
        Entrant("dense", None, v2drop.Schedule([])),
        *(Entrant(name, 0.5, HALF) for name in ("fastv", "random")),
    ]
    subject = Subject("tiny", "image", tiny_llava(), None, Nothing(), entrants)
    return {row["method"]: row for row in rows(subject, journal_of(retained))}


def test_every_number_is_what_one_computes_by_hand():
    dense, fastv, random = rows_of().values()
    assert (dense["accuracy"], fastv["accuracy"], random["accuracy"]) == (7 / 8, 5 / 8, 1 / 8)
    assert (fastv["asked"], fastv["right"], fastv["retained"]) == pytest.approx((8, 5, 0.5))
    assert fastv["by_kind"] == {"even": [3, 4], "odd": [2, 4]}
    assert fastv["of_dense"] == pytest.approx(5 / 7)
    assert fastv["interval"] == pytest.approx([0.3057, 0.8632], abs=1e-4)  # Wilson, z = 1.96
    assert fastv["p_random"] == pytest.approx(2 * (1 / 2) ** 4)  # four questions differ, all one way
    assert dense["p_random"] is random["p_random"] is None
    assert (fastv["prefill_ms"], fastv["decode_ms"], fastv["total_ms"]) == pytest.approx((200, 200, 500))
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


def test_what_was_not_timed_for_dense_has_no_ratio_and_what_could_not_run_says_why():
    dense = Entrant("dense", None, v2drop.Schedule([]))
    entrants = [dense, Entrant("fastv", 0.5, HALF), Entrant("dart", 0.5, None, "no")]
    journal = journal_of(0.5)
    journal.records = [each for each in journal.records if (each["record"], each["method"]) != ("timed", "dense")]
    _, fastv, dart = rows(Subject("tiny", "image", tiny_llava(), None, Nothing(), entrants), journal)
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
