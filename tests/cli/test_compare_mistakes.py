"""What goes wrong in a comparison is told, and neither spoils what was measured nor mixes with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer

from v2drop_cli.compare_output import telling_how_to_go_on
from v2drop_comparing.experiment import Settings, run_comparison, subjects_of
from v2drop_comparing.tables import problems
from v2drop_comparing.tasks import FILE
from v2drop_loading.defaults import Modality
from v2drop_loading.schedules import budgets_of
from v2drop_measuring.journal import JOURNAL
from v2drop_measuring.peak_memory import PeakMemory
from v2drop_terminal.errors import CommandError
from v2drop_zoo import CHECKPOINTS

EXAMPLE = CHECKPOINTS / "llava" / "example.png"


@pytest.fixture
def task(tmp_path):
    """A file of two questions, the second of whose pictures is missing."""
    lines = [
        {"question": "where is the 2 ?", "image": str(EXAMPLE), "answers": "left"},
        {"question": "where is the 2 ?", "image": "late.png", "answers": "left"},
    ]
    path = tmp_path / "task.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def compare(task=None, out=None, models=(("llava", FILE),), questions=2):
    settings = Settings("compare-methods", models, ["v2drop"], [0.5], questions, seed=0, timed=0, task=task)
    return run_comparison(settings, out, quiet=True).results


def test_a_task_that_was_edited_is_another_run(task, tmp_path):
    compare(task, tmp_path / "out")
    task.write_text(task.read_text().replace('"left"', '"west"'))  # as long as before
    with pytest.raises(CommandError, match="other settings: what is in task changed"):
        compare(task, tmp_path / "out")


def test_a_picture_that_was_mended_meanwhile_is_told(task, tmp_path):
    """Else methods would be compared on different questions."""
    compare(task, tmp_path / "out")
    journal = tmp_path / "out" / JOURNAL
    records = journal.read_text().splitlines(keepends=True)
    dense = next(number for number, line in enumerate(records) if '"dense"' in line and '"batch"' in line)
    journal.write_text("".join(records[: dense + 1]))
    shutil.copy(EXAMPLE, tmp_path / "late.png")
    with pytest.raises(CommandError, match="other pictures or videos can be read"):
        compare(task, tmp_path / "out")


def test_a_model_that_fails_leaves_the_others(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "v2drop.json"):
        shutil.copy(CHECKPOINTS / "llava" / name, broken)
    results = compare(models=[(str(broken), "image"), ("llava", "image")])
    assert {row["model"] for row in results["rows"]} == {"llava"}
    assert results["failed"][0]["model"] in str(broken)
    assert any("broken, image: " in problem for problem in problems(results))
    with pytest.raises(CommandError):
        compare(models=[(str(broken), "image")])


def test_a_file_is_asked_once_of_each_model(task):
    results = compare(task, models=[("qwen2_vl", FILE)], questions=1)
    assert [(row["modality"], row["asked"]) for row in results["rows"]] == [(FILE, 1)] * 3


def test_models_that_take_no_videos_are_left_out_by_default():
    assert subjects_of(modality=Modality.VIDEO) == [("qwen2_vl", "video")]
    assert len(subjects_of()) == 5


@pytest.mark.parametrize("text", ["nan", "inf", "half"])
def test_a_budget_is_a_number(text):
    with pytest.raises(CommandError, match="is a number, such as"):
        budgets_of([text])


def test_a_file_in_place_of_the_folder_is_told(task):
    with pytest.raises(CommandError, match="is a file"):
        compare(task, out=task)


def test_memory_is_left_out_where_it_cannot_be_watched(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", forbidden)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with PeakMemory() as memory:
        pass
    assert (memory.rest, memory.peak) == (None, None)


def test_first_times_are_not_counted_as_a_methods_memory():
    """Dense answers first, when the process takes what it keeps: libraries, pools, buffers."""
    results = compare(models=[("llava", "image")], questions=25)
    working = {row["method"]: row["working_bytes"] for row in results["rows"]}
    assert 0 < working["v2drop"] < working["dense"] < 160e6


@pytest.mark.parametrize(("out", "told"), [("out", "run the same command again to resume"), (None, "with --out DIR")])
def test_ctrl_c_ends_with_a_word_on_how_to_go_on(out, told, capsys):
    with pytest.raises(typer.Exit) as stop, telling_how_to_go_on(out and Path(out)):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it is not JSON"),
        ("[]", "it has no command and no rows and no task and no versions"),
        ('{"stages": [[3, 0.5]], "min_tokens": 0}', "it has no command"),
        ('{"command": "x", "rows": 3, "task": {}, "versions": {}}', "that can be drawn"),
    ],
)
def test_a_wrong_file_of_results_is_told(content, told, command, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(content)
    code, printed = command("show", "--comparison", path, "--out", tmp_path / "page.html")
    assert (code, printed.out) == (2, "")
    assert f"{path} holds no results of compare-methods or compare-models" in printed.err
    assert told in printed.err
