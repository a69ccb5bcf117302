"""Stages, presets, budgets and their accounting."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2drop import Schedule, ScheduleError, Stage


@pytest.mark.parametrize(
    ("name", "layers", "tokens"),
    [("llava-1.5-192", 32, 193.5 / 576), ("reference-llava", 32, 202.5 / 576), ("reference-qwen2-vl", 28, 0.226)],
)
def test_presets_keep_the_published_budgets(name, layers, tokens):
    assert Schedule.preset(name).retained(layers) == pytest.approx(tokens, abs=5e-4)


def test_published_code_keeps_one_token_after_its_last_cut():
    counts = Schedule.preset("reference-llava").tokens_per_layer(32, 576)
    assert counts == (576,) * 3 + (288,) * 14 + (144,) * 5 + (1,) * 10
    assert sum(counts) / 32 == pytest.approx(202.8, abs=0.05)


@given(
    layers=st.lists(st.integers(1, 31), min_size=1, max_size=5, unique=True).map(sorted),
    keeps=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    min_tokens=st.integers(0, 5),
    n=st.integers(0, 3000),
)
def test_accounting_agrees_with_the_rule_applied_by_hand(layers, keeps, min_tokens, n):
    schedule = Schedule(zip(layers, keeps, strict=False), min_tokens=min_tokens)
    alive, per_layer = n, []
    for layer in range(32):
        for stage in schedule.stages:
            if stage.layer == layer:
                alive = min(alive, max(min_tokens, int(alive * stage.keep)))
        per_layer.append(alive)
    assert schedule.tokens_per_layer(32, n) == tuple(per_layer)
    assert schedule.alive_after(n) == tuple(per_layer[layer] for layer in layers)


@given(num_layers=st.integers(4, 80), retained=st.floats(0.01, 1))
def test_a_budget_is_met(num_layers, retained):
    try:
        schedule = Schedule.for_budget(num_layers, retained)
    except ScheduleError as error:
        assert "at least" in str(error)  # noqa: PT017
        return
    assert schedule.retained(num_layers) == pytest.approx(retained, abs=1e-9)
    counts = schedule.tokens_per_layer(num_layers, 10_000)
    assert sum(counts) / num_layers / 10_000 == pytest.approx(retained, abs=5e-4)


def test_a_budget_cuts_at_the_papers_relative_depths_or_where_it_is_told():
    assert [stage.layer for stage in Schedule.for_budget(32, 0.333).stages] == [3, 17, 22]
    assert [stage.layer for stage in Schedule.for_budget(28, 0.333).stages] == [3, 15, 19]
    chosen = Schedule.for_budget(12, 0.4, layers=[2, 6, 8])
    assert [stage.layer for stage in chosen.stages] == [2, 6, 8]
    assert chosen.stages[-1].keep == 0
    assert chosen.stages[0].keep == chosen.stages[1].keep


def test_a_budget_that_the_stages_do_not_allow_states_the_least():
    with pytest.raises(ScheduleError, match=r"0\.094"):
        Schedule.for_budget(32, 0.05)
    least = Schedule.for_budget(32, 3 / 32)
    assert least.retained(32) == pytest.approx(3 / 32)


def test_schedules_survive_json():
    for name in Schedule.presets():
        schedule = Schedule.preset(name)
        assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
        assert hash(schedule) == hash(Schedule.from_dict(schedule.to_dict()))


@pytest.mark.parametrize(
    ("make", "quoted"),
    [
        (lambda: Stage(0, 0.5), "layer 0"),
        (lambda: Stage(-2, 0.5), "layer -2"),
        (lambda: Stage(1.5, 0.5), "1.5"),
        (lambda: Stage(True, 0.5), "True"),
        (lambda: Stage(3, 1.01), "1.01"),
        (lambda: Stage(3, -0.1), "-0.1"),
        (lambda: Stage(3, math.nan), "nan"),
        (lambda: Stage(3, "half"), "half"),
        (lambda: Schedule([(5, 0.5), (3, 0.5)]), r"\[5, 3\]"),
        (lambda: Schedule([(3, 0.5), (3, 0.5)]), r"\[3, 3\]"),
        (lambda: Schedule([(3,)]), r"\(3,\)"),
        (lambda: Schedule([3]), "3"),
        (lambda: Schedule(5), "stages=5"),
        (lambda: Schedule.from_dict({"stages": None}), "None"),
        (lambda: Schedule.preset(["x"]), "x"),
        (lambda: Schedule.for_budget(32, 0.3, layers=3), "layers=3"),
        (lambda: Schedule([(3, 0.5)]).alive_after(-3), "n=-3"),
        (lambda: Schedule([(3, 0.5)]).tokens_per_layer(6, 10.7), r"10\.7"),
        (lambda: Schedule([(3, 0.5)], min_tokens=-1), "-1"),
        (lambda: Schedule([(3, 0.5)], min_tokens=0.5), "0.5"),
        (lambda: Schedule.preset("llava-2"), "llava-2.*llava-1.5-192"),
        (lambda: Schedule.for_budget(32, 0), "0"),
        (lambda: Schedule.for_budget(32, 1.2), "1.2"),
        (lambda: Schedule.for_budget(32, math.nan), "nan"),
        (lambda: Schedule.for_budget(32, "a third"), "a third"),
        (lambda: Schedule.for_budget(1, 0.5), "num_layers=1"),
        (lambda: Schedule.for_budget(12, 0.5, layers=[2, 12]), "layer 12.*12 decoder layers"),
        (lambda: Schedule.for_budget(12, 0.5, layers=[]), "at least one stage"),
        (lambda: Schedule.from_dict({"layers": [1]}), "layers"),
        (lambda: Schedule([(3, 0.5)]).tokens_per_layer(3, 10), "layer 3.*3 decoder layers"),
    ],
)
def test_what_cannot_be_is_refused_and_quoted(make, quoted):
    with pytest.raises(ScheduleError, match=quoted) as error:
        make()
    assert "v2drop docs schedules" in str(error.value)


def test_a_schedule_does_not_change():
    with pytest.raises(AttributeError):
        Schedule.preset("llava-1.5-192").min_tokens = 50
    assert Schedule.preset("llava-1.5-192").min_tokens == 0


def test_no_stage_means_no_dropping():
    assert Schedule([]).tokens_per_layer(4, 10) == (10,) * 4
    assert Schedule([]).retained(4) == 1
