"""Which schedule a method gets: one answer, whatever command is asked."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

import v2drop
from v2drop import Schedule
from v2drop_batch.answerer import Answerer, Settings
from v2drop_cli.options import METHODS, PRESETS
from v2drop_llava import LlavaAdapter
from v2drop_lmms_eval.choices import Choice, list_choices
from v2drop_loading.checkpoints import find_checkpoint
from v2drop_loading.schedules import Decoder, Keep, choose_schedule, parse_stages, read_keep
from v2drop_terminal.errors import CommandError

DEPTH = 12  # of the zoo's llava
DECODER = Decoder(DEPTH)
RECOMMENDED = find_checkpoint("llava").schedule
OWN_CUTS = {"fastv": [1], "pyramiddrop": [3, 6, 9], "sparsevlm": [1, 2, 6], "dart": [1], "dense": []}
CHOSEN = "2:0.5, 6:0.25"
BATCH = ["--input", "questions.jsonl", "--out", "answers"]
WAYS = {
    "nothing": [],
    "a budget": ["--retain", "0.5"],
    "stages": ["--stages", CHOSEN],
    "a file": ["--schedule", "chosen.json"],
}


@pytest.fixture(params=WAYS)
def way(request, tmp_path, monkeypatch, command):
    """How much is asked to be kept: the options, and the same where a budget has to be named."""
    monkeypatch.chdir(tmp_path)
    _, printed = command("schedule", "--stages", CHOSEN, "--json")
    (tmp_path / "chosen.json").write_text(printed.out)
    options = WAYS[request.param]
    return SimpleNamespace(
        options=options, named=options or ["--retain", str(RECOMMENDED.retained(DEPTH))], folder=tmp_path
    )


def as_text(schedule):
    """As pages and tables show it, for comparisons up to the third digit."""
    return ", ".join(f"{stage.keep:.3g} from layer {stage.layer}" for stage in schedule.stages) or "none"


@pytest.fixture
def asked(way, command):
    """What each command says a method's schedule is, by command and method."""

    def said(*arguments):
        code, printed = command(*arguments)
        assert code == 0, printed.err
        return printed.out

    def of_rows(*arguments):
        rows = json.loads(said(*arguments, *way.named, "--json"))["rows"]
        return {row["method"]: row["schedule"] for row in rows if row["schedule"]}

    every = [word for name in METHODS for word in ("--method", name)]
    found = {name: {} for name in ("schedule", "run", "batch", "eval", "compare-models")}
    keep = read_keep(**keywords(way.options))
    for name in METHODS:
        found["schedule"][name] = json.loads(said("schedule", "--method", name, *way.options, "--json"))
        shown = said("run", "--method", name, *way.options, "--max-new-tokens", 1, "--json")
        found["run"][name] = json.loads(shown)["schedule"]
        found["batch"][name] = Answerer(Settings("llava", name, keep, 0, 1), 1).schedule.to_dict()
        line = said("eval", "--model", "llava", "--tasks", "mme", "--method", name, *way.options, "--dry-run")
        words = shlex.split(line.splitlines()[-1])
        given = dict(part.split("=") for part in words[words.index("--model_args") + 1].split(","))
        given = {key: value for key, value in given.items() if key not in ("pretrained", "journal")}
        if "retained" in given:
            given["retained"] = float(given["retained"])
        found["eval"][name] = Choice(**given).schedule_on(find_checkpoint("llava"), DECODER).to_dict()
        if name != "dense":
            compared = ("compare-models", "--model", "llava", "--questions", 1, "--timed", 0, "--method", name)
            found["compare-models"][name] = of_rows(*compared)[name]
    found["compare-methods"] = of_rows("compare-methods", "--questions", 1, "--timed", 0)
    tiny = ("bench", "--hidden", 16, "--layers", DEPTH, "--tokens", 9, "--rounds", 2)
    models = json.loads(said(*tiny, *every, *way.named, "--json"))["models"]
    found["bench"] = {row["method"]: row["schedule"] for row in models[0]["rows"]}
    said("show", *every, *way.options, "--max-new-tokens", 1, "--out", way.folder / "page.html")
    page = (way.folder / "page.html").read_text()
    pattern = r"<td>({})</td><td[^>]*>[^<]*</td><td[^>]*>([^<]*)</td>"
    found["show"] = dict(re.findall(pattern.format("|".join(METHODS)), page))
    return found


def keywords(options):
    named = dict(zip(options[::2], options[1::2], strict=True))
    values = {"retain": named.get("--retain"), "stages": named.get("--stages"), "file": named.get("--schedule")}
    return {
        **values,
        "retain": values["retain"] and float(values["retain"]),
        "file": values["file"] and Path(values["file"]),
    }


def test_all_commands_give_a_method_the_same_schedule(asked, way):
    keep = read_keep(**keywords(way.options))
    for command, schedules in asked.items():
        for name in METHODS:
            if name == "dense" and command == "compare-models":
                continue
            wanted = choose_schedule(name, DECODER, keep, RECOMMENDED)
            if command == "bench" and keep.schedule is None:  # of no checkpoint, so nothing is recommended
                wanted = choose_schedule(name, DECODER, Keep(float(way.named[1])), None)
            if command == "show":
                assert schedules[name] == as_text(wanted), (command, name)
                continue
            found = Schedule.from_dict(schedules[name])
            assert [stage.layer for stage in found.stages] == [stage.layer for stage in wanted.stages], (command, name)
            assert [stage.keep for stage in found.stages] == pytest.approx([stage.keep for stage in wanted.stages])


def test_without_a_budget_methods_keep_what_the_model_recommends_at_their_own_cuts():
    budget = RECOMMENDED.retained(DEPTH)
    for name in METHODS:
        schedule = choose_schedule(name, DECODER, Keep(), RECOMMENDED)
        assert [stage.layer for stage in schedule.stages] == OWN_CUTS.get(name, [1, 5, 8])
        assert schedule.retained(DEPTH) == pytest.approx(1 if name == "dense" else budget)
    assert choose_schedule("v2drop", DECODER, Keep(), RECOMMENDED) == RECOMMENDED
    assert choose_schedule("v2drop", Decoder(32), Keep(), None).retained(32) == pytest.approx(1 / 3)
    assert choose_schedule("fastv", Decoder(32), Keep(), None) == v2drop.methods()["fastv"]().schedule(32, 1 / 3)


def test_a_schedule_that_was_asked_for_is_every_methods_but_denses():
    keep = read_keep(preset="llava-1.5-192")
    for name in METHODS:
        schedule = choose_schedule(name, Decoder(32), keep, None)
        assert schedule == (Schedule([]) if name == "dense" else Schedule.preset("llava-1.5-192"))
    with pytest.raises(v2drop.ScheduleError, match="12 decoder layers"):
        choose_schedule("fastv", DECODER, keep, None)


def test_stages_are_read_as_they_are_written():
    wanted = Schedule([(3, 0.5), (17, 0.3), (22, 0)])
    assert parse_stages("3:0.5,17:0.3,22:0") == parse_stages(" 3:0.5 , 17:.3,22:0.0") == wanted
    [_, choice] = list_choices(["v2drop"], stages=["3:0.5, 17:0.3,22:0"])
    assert choice.options == {"method": "v2drop", "stages": "3:0.5+17:0.3+22:0"}
    assert parse_stages(choice.stages) == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is not a stage.*LAYER:KEEP"),
        ("3:0.5,17", "'17' is not a stage"),
        ("3=0.5", "is not a stage"),
        ("3:half", "is not a stage"),
        ("0:0.5", "first possible stage is at layer 1"),
        ("3.5:0.5", "a layer is an integer"),
        ("3:1.5", "keep is a share from 0 to 1"),
        ("3:nan", "keep is a share from 0 to 1"),
        ("5:0.5,3:0.5", "layers must ascend"),
        ("3:0.5,12:0", "stages go from 1 to 11"),
    ],
)
def test_stages_are_checked_as_in_python(text, told, command):
    for name in ("schedule", "run"):
        code, printed = command(name, "--stages", text)
        assert (code, printed.out) == (2, "")
        assert re.search(told, printed.err), printed.err


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "not JSON"), ("[1]", "not a schedule"), ('{"stages": [[0, 1]]}', "layer 1"), ('{"stages": 3}', "stages=3")],
)
def test_files_are_checked_as_in_python(content, told, command, tmp_path):
    (tmp_path / "chosen.json").write_text(content)
    code, printed = command("run", "--schedule", tmp_path / "chosen.json")
    assert (code, printed.out) == (2, "")
    assert told in printed.err
    code, printed = command("run", "--schedule", tmp_path / "nowhere.json")
    assert "cannot read" in printed.err


@pytest.mark.parametrize("name", ["run", "schedule", "show", "compare-methods", "compare-models", "bench", "batch"])
def test_contradicting_options_are_refused(name, command, tmp_path):
    more = ("--input", tmp_path, "--out", tmp_path / "out") if name == "batch" else ()
    code, printed = command(name, "--retain", "0.5", "--stages", "3:0.5", *more)
    assert (code, printed.out) == (2, "")
    assert "--retain 0.5 and --stages 3:0.5 contradict each other" in printed.err


def test_the_plug_in_takes_one_of_its_options():
    with pytest.raises(CommandError, match=r"--retained 0\.5 and --stages 3:0\.5 contradict"):
        Choice("v2drop", retained=0.5, stages="3:0.5").schedule_on(find_checkpoint("llava"), DECODER)


def test_options_name_the_methods_and_presets_that_there_are():
    assert tuple(v2drop.methods()) == METHODS
    assert Schedule.presets() == PRESETS


def test_a_models_first_stage_bounds_every_methods_schedule():
    late = Decoder(DEPTH, first_stage=3)
    for name in METHODS:
        schedule = choose_schedule(name, late, Keep(retain=0.6), None)
        assert name == "dense" or schedule.stages[0].layer >= 3
        assert schedule.retained(DEPTH) == pytest.approx(1 if name == "dense" else 0.6)
    with pytest.raises(v2drop.ScheduleError, match="nothing may be dropped before layer 3"):
        choose_schedule("v2drop", late, Keep(schedule=Schedule([(2, 0.5)])), None)


def test_commands_ask_the_adapter_for_the_first_stage(command, monkeypatch):
    monkeypatch.setattr(LlavaAdapter, "first_stage", lambda self, model: 3)
    code, printed = command("schedule", "--method", "fastv", "--retain", "0.5", "--json")
    assert code == 0
    assert [layer for layer, _ in json.loads(printed.out)["stages"]] == [3]
    for name in ("run", "batch", "compare-methods", "show"):
        words = [name, "--stages", "2:0.5", *(BATCH if name == "batch" else [])]
        code, printed = command(*words)
        assert code == 2, name
        assert "nothing may be dropped before layer 3" in " ".join(printed.err.split()), name
