"""What comparisons are made of: statistics, fair contenders, places of kept tokens, peak memory, and the journal."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import v2drop
from v2drop_cli.compare_output import Wanted
from v2drop_comparing.contenders import choose_contenders, unfairness
from v2drop_loading.generation import is_right
from v2drop_loading.schedules import Decoder, budgets_of
from v2drop_measuring.journal import JOURNAL, Journal
from v2drop_measuring.peak_memory import PeakMemory
from v2drop_measuring.position_bias import kept_places, summarise
from v2drop_measuring.rounds import spread
from v2drop_measuring.significance import mcnemar, ratio_interval, wilson_interval
from v2drop_page.plots import COLOURS, colour, marker
from v2drop_terminal.errors import CommandError

RECOMMENDED = v2drop.Schedule([(1, 0.5), (5, 0.5), (8, 0.0)])


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (50, 50, 0.9287, 1)]
)
def test_wilson_intervals_are_the_published_formulas(right, asked, low, high):
    z, share = 1.959963984540054, right / asked
    middle, reach = share + z**2 / (2 * asked), z * (share * (1 - share) / asked + z**2 / (4 * asked**2)) ** 0.5
    interval = wilson_interval(right, asked)
    assert interval == pytest.approx(((middle - reach) / (1 + z**2 / asked), (middle + reach) / (1 + z**2 / asked)))
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_a_mean_of_several_tries_has_an_interval_between_those_of_its_neighbours():
    below, mean, above = (wilson_interval(right, 4) for right in (2, 2.5, 3))
    assert below[0] < mean[0] < above[0]
    assert below[1] < mean[1] < above[1]


def test_the_interval_of_a_ratio_is_the_published_one():
    """Bonett and Price's of the example in Fagerland, Lydersen and Laake 2014: 1, 1, 7 and 12 pairs."""
    ours, theirs = [1, 1] + [0] * 19, [1, 0] + [1] * 7 + [0] * 12
    assert ratio_interval(ours, theirs) == pytest.approx((0.067, 0.923), abs=1e-3)
    assert ratio_interval([0, 0], [0, 0]) is None


def test_the_interval_of_a_ratio_covers_it_also_where_nearly_all_is_right():
    low, high = ratio_interval([1] * 4, [1] * 4)
    assert low < 0.7
    assert high > 1.4
    assert ratio_interval([0] * 1000, [1] * 1000) == pytest.approx((0, 0.0038), abs=1e-4)
    random, held = np.random.default_rng(0), 0
    for _ in range(1000):
        ours, theirs = random.random(200) < 0.985, random.random(200) < 0.995
        low, high = ratio_interval(ours.astype(int).tolist(), theirs.astype(int).tolist())
        held += low <= 0.985 / 0.995 <= high
    assert 0.92 < held / 1000 < 0.98


def test_quartiles_lie_among_the_values():
    assert spread([1.0, 10.0]) == {"median": 5.5, "quartiles": [3.25, 7.75]}


def test_a_file_in_the_place_of_a_folder_is_told_before_the_run(tmp_path):
    file = tmp_path / "notes.txt"
    file.touch()
    for option in ("out", "plots"):
        wanted = Wanted(**{**dict.fromkeys(("out", "csv", "html", "latex", "plots")), option: file / "below" / "it"})
        with pytest.raises(CommandError, match=rf"notes\.txt is a file: --{option} is a folder"):
            wanted.check()


def test_a_journal_of_another_version_is_refused_as_that(tmp_path):
    Journal(tmp_path, {"seed": 0}).close()
    with pytest.raises(CommandError, match="was written by another version of v2drop: pass another folder"):
        Journal(tmp_path, {"seed": 0, "journal": 2})


def test_methods_of_ones_own_look_different_from_each_other_in_plots():
    looks = {(colour(name), marker(name)) for name in ("mine:A", "mine:I", "mine:E", *COLOURS)}
    assert len(looks) == 3 + len(COLOURS)


def test_mcnemars_test_is_exact_and_looks_at_differences_alone():
    ours, theirs = [True] * 10 + [False] * 2, [False] * 10 + [True] * 2
    expected = 2 * (1 + 12 + 66) / 2**12
    assert mcnemar(ours, theirs) == mcnemar(theirs, ours) == pytest.approx(expected)
    assert mcnemar([*ours, *[True] * 50], [*theirs, *[True] * 50]) == pytest.approx(expected)
    assert mcnemar([True, False], [True, False]) == 1.0
    with pytest.raises(ValueError, match="shorter"):
        mcnemar(ours, theirs[1:])


def test_answers_are_compared_but_for_case_space_and_full_stop():
    assert is_right(" Top-left. ", ["left", "top-left"])
    assert not is_right("top", ["top-left"])


def test_dense_and_random_always_take_part_and_methods_without_cuts_share_theirs():
    found = choose_contenders(["v2drop", "fastv"], [0.5], Decoder(12), RECOMMENDED, random_seeds=2)
    assert [contender.draw for contender in found] == [0, 0, 0, 0, 1]
    contenders = {contender.key[:2]: contender for contender in found}
    assert list(contenders) == [("dense", None), ("v2drop", 0.5), ("fastv", 0.5), ("random", 0.5)]
    assert contenders["v2drop", 0.5].schedule == contenders["random", 0.5].schedule
    assert [stage.layer for stage in contenders["v2drop", 0.5].schedule.stages] == [1, 5, 8]
    assert [stage.layer for stage in contenders["fastv", 0.5].schedule.stages] == [1]


def test_unknown_methods_and_budgets_out_of_reach_are_named():
    contenders = {
        each.key[:2]: each for each in choose_contenders(["pyramiddrop"], [0.5, 0.111, 2.0], Decoder(12), None)
    }
    with pytest.raises(v2drop.MethodError, match="'best'"):
        choose_contenders(["best"], [0.5], Decoder(12), None)
    assert "retained=0.111" in contenders["pyramiddrop", 0.111].error
    assert "retained=2.0" in contenders["pyramiddrop", 2.0].error
    assert contenders["pyramiddrop", 0.5].error is None


@pytest.mark.parametrize("tokens", [144, 576, 2880])
def test_budgets_are_fair_but_for_whole_tokens(tokens):
    for depth, budget in ((12, 0.5), (28, 0.333), (32, 0.222), (32, 0.111)):
        for contender in choose_contenders(list(v2drop.methods()), [budget], Decoder(depth), None):
            if contender.error or contender.budget is None:
                continue
            share = sum(contender.schedule.tokens_per_layer(depth, tokens)) / depth / tokens
            assert unfairness(contender, share, tokens, 1, depth) is None, contender
            assert abs(share - budget) < 0.01 * budget + 3 / tokens
            assert "instead of" in unfairness(contender, budget * 1.02 + 3 / tokens, tokens, 1, depth)


def test_places_are_those_among_the_samples_own_vision_tokens():
    mask = torch.zeros(2, 16, dtype=torch.bool)
    mask[0, 2:13] = True  # 11 tokens, places 0, 0.1, ... 1
    mask[1, [1, 15]] = True

    class Report:
        kept = {1: [torch.tensor([2, 7, 12]), torch.tensor([15])], 3: [torch.tensor([12]), torch.tensor([])]}  # noqa: RUF012

    Report.kept[3][1] = Report.kept[3][1].long()
    places = kept_places(Report(), mask)
    assert places["1"] == {"count": 4, "sum": 2.5, "histogram": [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]}
    result = summarise([places, places])
    assert result["mean"] == pytest.approx(7 / 10)
    assert sum(result["histogram"]) == pytest.approx(1)
    assert [(stage["layer"], stage["mean"]) for stage in result["stages"]] == [(1, 0.625), (3, 1.0)]
    assert summarise([{}]) is None


@pytest.mark.skipif(sys.platform != "linux" or torch.cuda.is_available(), reason="asks Linux for its high-water mark")
def test_peak_memory_is_what_was_held_at_one_time():
    with PeakMemory() as one:
        torch.ones(2**24).sum()  # 64 MiB
    with PeakMemory() as small:
        torch.ones(2**10).sum()
    with PeakMemory() as both:
        (torch.ones(2**24) + torch.ones(2**24)).sum()
    assert 62 <= (one.peak - one.rest) / 2**20 < 80
    assert (small.peak - small.rest) / 2**20 < 16
    assert 124 <= (both.peak - both.rest) / 2**20 < 220


def test_a_journal_goes_on_behind_a_half_written_line(tmp_path):
    settings = {"seed": 0, "models": [("llava", "image")]}
    journal = Journal(tmp_path, settings)
    journal.add({"record": "batch", "start": 0})
    journal.close()
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"record": "bat')
    again = Journal(tmp_path, settings)
    assert again.records == [{"record": "batch", "start": 0}]
    again.add({"record": "batch", "start": 25})
    again.close()
    assert [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()][1:] == again.records


def test_a_journal_of_other_settings_is_refused(tmp_path):
    Journal(tmp_path, {"seed": 0}).close()
    with pytest.raises(CommandError, match=r"seed was 0 and is now 1.*another folder"):
        Journal(tmp_path, {"seed": 1})
    (tmp_path / JOURNAL).write_text("no journal\n")
    with pytest.raises(CommandError, match="is not the journal"):
        Journal(tmp_path, {"seed": 0})


def test_budgets_come_one_by_one_or_in_one_text():
    assert budgets_of(["0.5", "0.333, 0.222 0.111"]) == [0.5, 0.333, 0.222, 0.111]
    with pytest.raises(CommandError, match="'half'"):
        budgets_of(["half"])
