"""`v2drop compare-methods` and `compare-models`, on the zoo's models and on files of questions."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import v2drop
from v2drop_comparing.experiment import Settings, run_comparison
from v2drop_loading.checkpoints import find_checkpoint, load_model
from v2drop_loading.schedules import Decoder, Keep, choose_schedule
from v2drop_measuring.journal import JOURNAL
from v2drop_terminal.errors import CommandError
from v2drop_zoo import CHECKPOINTS
from v2drop_zoo.exam import fresh_questions
from v2drop_zoo_training.evaluate import measure

BUDGETS = (0.5, 0.222)
SHORT = ["compare-methods", "--questions", "60", "--timed", "1", "--method", "v2drop", "--retain", "0.5 0.333"]
MEASURES = ("prefill_ms", "decode_ms", "total_ms", "prefill_ratio", "decode_ratio", "peak_bytes", "working_bytes")


def settings(**options):
    usual = {"models": [("llava", "image")], "methods": ["v2drop"], "budgets": BUDGETS, "questions": 60, "seed": 4}
    return Settings(**{"command": "compare-methods", "timed": 1, **usual, **options})


def without_measures(results):
    """What two runs of the same settings have in common."""
    rows = [{name: value for name, value in row.items() if name not in MEASURES} for row in results["rows"]]
    return {**results, "rows": rows, "date": None}


@pytest.fixture(scope="module")
def compared():
    return run_comparison(settings(methods=list(v2drop.methods())), None, quiet=True).results


def by_key(results):
    return {(row["method"], row["budget"]): row for row in results["rows"]}


def test_every_method_has_a_row_at_every_budget_and_dense_one(compared):
    rows = by_key(compared)
    assert set(rows) == {("dense", None), *((m, b) for m in v2drop.methods() if m != "dense" for b in BUDGETS)}
    assert "retained=0.222" in rows["pyramiddrop", 0.222]["unreachable"]
    for key, row in rows.items():
        if key == ("pyramiddrop", 0.222):
            assert (row["accuracy"], row["error"]) == (None, None)
            continue
        assert row["error"] is None
        assert row["asked"] == sum(asked for _, asked in row["by_kind"].values()) == 60
        assert row["right"] == sum(right for right, _ in row["by_kind"].values()) == row["accuracy"] * 60
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
        assert row["of_dense"] == row["accuracy"] / rows["dense", None]["accuracy"]
        assert row["total_ms"] > 0
        assert (row["p_random"] is None) == (row["method"] in ("dense", "random"))
        if row["budget"]:
            assert row["retained"] == pytest.approx(row["budget"], abs=0.01 * row["budget"] + 3 / 144)
            assert sum(row["position"]["histogram"]) == pytest.approx(1)
            assert row["kv_bytes"] < rows["dense", None]["kv_bytes"]
            assert row["flops"] < rows["dense", None]["flops"]


def test_random_and_uniform_dropping_have_no_position_bias(compared):
    for method in ("random", "uniform"):
        assert by_key(compared)[method, 0.5]["position"]["mean"] == pytest.approx(0.5, abs=0.02)


def test_contenders_take_turns_at_being_timed_first(tmp_path):
    run_comparison(settings(budgets=[0.5], questions=4, timed=4), tmp_path, quiet=True)
    records = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()[1:]]
    timed = [(record["start"], record["method"]) for record in records if record["record"] == "timed"]
    orders = [[method for start, method in timed if start == question] for question in range(4)]
    first = ["dense", "v2drop", "random"]
    assert orders == [first, ["v2drop", "random", "dense"], ["random", "dense", "v2drop"], first]


def test_accuracies_are_those_of_evaluate(compared):
    checkpoint = find_checkpoint("llava")
    model, processor = load_model(checkpoint, "cpu")
    questions = list(fresh_questions(60, 4))
    for method, budget in (("dense", None), ("v2drop", 0.222), ("random", 0.222)):
        schedule = budget and choose_schedule(method, Decoder(12), Keep(budget), checkpoint.schedule)
        result = measure(model, processor, questions, schedule, method, seed=4, progress=False)
        row = by_key(compared)[method, budget]
        assert {kind: right for kind, (right, _) in row["by_kind"].items()} == dict(sorted(result.right.items()))


def test_a_run_that_was_killed_goes_on_to_the_same_results(tmp_path, command):
    whole = run_comparison(settings(budgets=[0.5, 0.333], seed=0, command="compare-methods"), None, quiet=True).results
    arguments = [sys.executable, "-m", "v2drop_cli", *SHORT, "--out", tmp_path]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    run = subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    journal, deadline = tmp_path / JOURNAL, time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    written = journal.read_bytes().count(b"\n")
    assert written < 1 + 3 * 5 + 5  # so it was in the middle
    first = journal.read_bytes().rpartition(b"\n")[0].splitlines()
    code, printed = command(*SHORT, "--out", tmp_path, "--json")
    assert code == 0
    assert journal.read_bytes().splitlines()[: len(first)] == first
    assert len(journal.read_bytes().splitlines()) == 1 + 3 * 5 + 5
    assert without_measures(json.loads(printed.out)) == without_measures(whole)
    assert json.loads((tmp_path / "results.json").read_text()) == json.loads(printed.out)
    code, printed = command(*SHORT, "--out", tmp_path, "--seed", "1")
    assert code == 2
    assert "seed was 0 and is now 1" in printed.err


def test_bad_lines_are_reported_and_the_rest_goes_on(tmp_path, command):
    image = str(CHECKPOINTS / "llava" / "example.png")
    (tmp_path / "text.png").write_text("no picture")
    good = {"question": "where is the 2 ?", "image": image, "answers": ["left", "on the\u2028left"], "kind": "place"}
    lines = [
        json.dumps(good, ensure_ascii=False),
        "not json",
        json.dumps({**good, "answers": []}),
        json.dumps({**good, "image": "text.png"}),
        json.dumps({**good, "image": "nowhere.png"}),
        "",
        json.dumps({**good, "question": ""}),
        json.dumps({**good, "question": "what is <image> ?"}),
        json.dumps({**good, "video": "a.mp4"}),
        json.dumps({**good, "answers": "right"}),
    ]
    (tmp_path / "task.jsonl").write_text("\ufeff" + "\n".join(lines), "utf-8")  # as Windows' editors begin a file
    arguments = ("compare-methods", "--task", tmp_path / "task.jsonl", "--method", "v2drop")
    arguments = (*arguments, "--retain", "0.5", "--timed", "4", "--max-new-tokens", "3", "--out", tmp_path / "out")
    for _ in range(2):  # the second run finds all done
        code, printed = command(*arguments, "--json")
        results = json.loads(printed.out)
        assert code == 1
        assert {line["line"] for line in results["skipped"]} == {2, 3, 4, 5, 7, 8, 9}
        for number, reason in (
            (2, "not JSON"),
            (3, "no answer"),
            (4, "text.png"),
            (5, "nowhere.png"),
            (8, "quotes <image>"),
        ):
            found = next(line for line in results["skipped"] if line["line"] == number)
            assert reason in found["reason"]
            assert found["file"].endswith("task.jsonl")
        assert (results["task"]["name"], results["task"]["questions"]) == ("task", 2)
        told = (tmp_path / "out" / "results.md").read_text()
        assert told.startswith("# compare-methods: task\n")
        assert "2 questions;" in told
        assert "task.jsonl, line 3: no answer" in printed.err
        assert "0 results and 7 questions" in printed.err
        rows = by_key(results)
        assert rows["dense", None]["by_kind"] == {"place": [1, 2]}
        assert rows["v2drop", 0.5]["asked"] == 2
        assert rows["v2drop", 0.5]["prefill_ms"] > 0


def test_models_are_compared_and_written_as_csv(tmp_path, command):
    models = ("--model", "llava_next", "--model", "qwen2_vl")
    code, printed = command("compare-models", *models, "--questions", "6", "--timed", "1", "--retain", "0.5",
                            "--csv", tmp_path / "rows.csv", "--out", tmp_path)  # fmt: skip
    assert code == 0, printed.err
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    subjects = [("llava_next", "image"), ("qwen2_vl", "image"), ("qwen2_vl", "video")]
    assert [(row["model"], row["modality"]) for row in rows] == [subject for subject in subjects for _ in range(3)]
    assert {row["method"] for row in rows} == {"dense", "v2drop", "random"}
    assert all(float(row["total_ms"]) > 0 and row["error"] == "" for row in rows)
    assert "qwen2_vl, video" in printed.out
    assert (tmp_path / "results.md").read_text().count("| qwen2_vl, video |") == 3


def test_answers_differences_seeds_and_the_files_that_papers_need(tmp_path, command):
    page, latex, plots = tmp_path / "page.html", tmp_path / "table.tex", tmp_path / "plots"
    code, printed = command("compare-methods", "--method", "fastv", "--questions", "30", "--timed", "2", "--retain", "0.111",
                            "--against", "uniform", "--random-seeds", "2", "--out", tmp_path / "out", "--html", page,
                            "--latex", latex, "--plots", plots, "--json")  # fmt: skip
    assert code == 0, printed.err
    rows = by_key(json.loads(printed.out))
    assert set(rows) == {("dense", None), ("fastv", 0.111), ("uniform", 0.111), ("random", 0.111)}
    assert len(rows["random", 0.111]["seeds"]) == 2
    assert rows["random", 0.111]["accuracy"] == pytest.approx(sum(rows["random", 0.111]["seeds"]) / 2)
    assert rows["fastv", 0.111]["p_against"] is not None
    assert rows["fastv", 0.111]["prefill_quartiles"][0] <= rows["fastv", 0.111]["prefill_ms"]

    with (tmp_path / "out" / "answers.csv").open() as file:
        answers = list(csv.DictReader(file))
    assert Counter((each["method"], each["seed"]) for each in answers) == {
        ("dense", "0"): 30, ("fastv", "0"): 30, ("uniform", "0"): 30, ("random", "0"): 30, ("random", "1"): 30,
    }  # fmt: skip
    said = {(each["method"], each["number"]): each for each in answers if each["seed"] == "0"}
    assert (
        sum(int(each["right"]) for (method, _), each in said.items() if method == "fastv")
        == rows["fastv", 0.111]["right"]
    )
    differing = {number for (method, number), each in said.items() if each["answer"] != said["dense", number]["answer"]}
    assert f"{len(differing)} of 30 questions are answered differently" in page.read_text()
    assert page.read_text().count("<article>") == len(differing) > 0

    table = latex.read_text()
    assert "\\begin{tabular}{lrrrrrrrrrrrr}" in table
    assert re.search(r"^fastv & 0\.111 & 0\.1\d\d & [\d.]+\\% & ", table, re.MULTILINE)
    assert {file.suffix for file in plots.iterdir()} == {".svg", ".pdf"}


def test_a_budget_that_one_of_all_methods_cannot_reach_is_a_row_of_dashes(command, tmp_path):
    code, printed = command("compare-methods", "--questions", 1, "--timed", 0, "--retain", "0.222", "--out", tmp_path)
    assert code == 0, printed.err
    assert re.search(r"│ pyramiddrop +│ 0\.222 +│ - +│ - +│", printed.out)
    assert "-: llava, image: pyramiddrop at 0.222: retained=0.222: with the first stage before layer 3" in printed.out
    assert "| llava, image | pyramiddrop | 0.222 | - |" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare-methods", "--method", "fatsv"], "unknown method 'fatsv'"),
        (["compare-models", "--method", "fatsv"], "unknown method 'fatsv'"),
        (["compare-methods", "--method", "pyramiddrop", "--retain", "0.222"], "pyramiddrop on llava: retained=0.222"),
        (["compare-methods", "--retain", "0.5 0.01"], "on llava: retained=0.01"),
        (["compare-methods", "--stages", "12:0"], "12 decoder layers"),
        (["compare-methods", "--against", "pyramiddrop", "--retain", "0.222"], "pyramiddrop on llava: retained=0.222"),
        (["show", "--method", "fatsv"], "unknown method 'fatsv'"),
        (["run", "--method", "fatsv"], "unknown method 'fatsv'"),
        (["run", "--retain", "0.01"], "retained=0.01"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(arguments, told, command, tmp_path):
    """The model has a config and no weights: who loads it says that first."""
    folder = tmp_path / "llava"
    shutil.copytree(CHECKPOINTS / "llava", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    code, printed = command(*arguments, "--model", folder)
    assert (code, printed.out) == (2, "")
    assert told in printed.err.replace(str(folder), "llava")


def test_mistakes_end_with_2(command, tmp_path):
    for arguments, quoted in (
        (["--retain", "half"], "'half'"),
        (["--csv", tmp_path], "name a file"),
        (["--task", tmp_path / "nowhere.jsonl"], "nowhere.jsonl"),
        (["--model", "llava", "--modality", "video"], "takes no video"),
    ):
        code, printed = command("compare-methods", *arguments)
        assert (code, printed.out) == (2, "")
        assert quoted in printed.err
    with pytest.raises(CommandError, match="no model 'nowhere'"):
        run_comparison(settings(models=[("nowhere", "image")]), None, quiet=True)
