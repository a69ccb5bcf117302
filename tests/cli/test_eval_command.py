"""`v2drop eval` as far as it goes without lmms-eval: command lines, refusals, and tables. tests/eval runs it."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from support.tiny_checkpoints import save_tiny

from v2drop.installing import pip_install
from v2drop_lmms_eval.choices import list_choices
from v2drop_lmms_eval.runs import Run, put_in_order
from v2drop_lmms_eval.table import compare, markdown, scores
from v2drop_terminal.errors import CommandError
from v2drop_zoo import CHECKPOINTS

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "scripts"
TABLES = SCRIPTS / "paper_tables.sh"


@pytest.fixture
def evaluate(command):
    """Runs `v2drop eval` in this process: its exit code and what it prints."""
    return partial(command, "eval")


def test_dry_run_prints_the_lines_that_would_run(evaluate):
    options = (
        "--model",
        "llava",
        "--tasks",
        "mme",
        "--retain",
        "0.5 0.333",
        "--method",
        "fastv",
        "--limit",
        7,
        "--out",
        "o",
    )
    code, printed = evaluate(*options, "--dry-run")
    lines = [shlex.split(line) for line in printed.out.splitlines()]
    assert code == 0
    assert [line[:3] for line in lines] == [[sys.executable, "-m", "lmms_eval"]] * 3
    assert [line[line.index("--model_args") + 1] for line in lines] == [
        "pretrained=llava,method=dense,journal=o/dense/answers",
        "pretrained=llava,method=fastv,retained=0.5,journal=o/fastv-0.5/answers",
        "pretrained=llava,method=fastv,retained=0.333,journal=o/fastv-0.333/answers",
    ]
    assert all(line[line.index("--limit") + 1] == "7" for line in lines)


def test_several_processes_run_through_accelerate(evaluate):
    code, printed = evaluate("--model", "qwen2_vl", "--tasks", "mme", "--processes", 2, "--dry-run")
    assert code == 0
    for line in printed.out.splitlines():
        assert "accelerate.commands.launch --num_processes 2" in line
        assert line.startswith("ACCELERATE_USE_CPU=true ")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder in which the tables' ids on the hub name folders, with configs of the real depths."""
    monkeypatch.chdir(tmp_path)
    for name, source, depth in (
        ("llava-hf/llava-1.5-7b-hf", "llava", 32),
        ("llava-hf/llava-v1.6-vicuna-7b-hf", "llava_next", 32),
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", 28),
    ):
        config = json.loads((CHECKPOINTS / source / "config.json").read_text())
        config["text_config"]["num_hidden_layers"] = depth
        config["text_config"].pop("layer_types", None)
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(json.dumps(config))


def test_every_line_of_the_papers_tables_is_well_formed(hub, evaluate):
    assert subprocess.run(["sh", "-n", TABLES], check=False).returncode == 0
    text = TABLES.read_text()
    [six] = [line.removeprefix("SIX=") for line in text.splitlines() if line.startswith("SIX=")]
    lines = [line.replace("$SIX", six) for line in text.splitlines() if line.startswith("v2drop eval ")]
    assert len(lines) == 4
    for line in lines:
        _, _, *words = shlex.split(line)
        assert words.pop() == "$@"
        code, printed = evaluate(*words, "--dry-run")
        assert code == 0, printed.err
        assert len(printed.out.splitlines()) >= 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--preset", "llava-1.5-192"), "layer"),  # the zoo's models have 12 layers
        (("--preset", "nonsense"), "unknown preset"),
        (("--method", "nonsense"), "unknown method"),
        (("--retain", "2"), "retained=2.0"),
        (("--retain", "much"), "'much'"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(evaluate, options, told):
    code, printed = evaluate("--model", "llava", "--tasks", "mme", *options)
    assert code == 2
    assert told in printed.err


def test_architectures_without_a_model_here_are_refused(evaluate, tmp_path):
    code, printed = evaluate("--model", save_tiny("qwen2_5_vl", tmp_path), "--tasks", "mme")
    assert code == 2
    assert "qwen2_5_vl" in printed.err


def test_a_missing_lmms_eval_is_told_with_its_extra(evaluate, monkeypatch, tmp_path):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("v2drop_cli.eval.version", missing)
    code, printed = evaluate("--model", "llava", "--tasks", "mme", "--out", tmp_path)
    assert code == 2
    assert pip_install("v2drop[eval]") in printed.err


@pytest.mark.parametrize("ending", ["pass", "import sys; sys.exit(1)"])
def test_a_run_that_leaves_no_results_is_an_error(tmp_path, ending):
    with pytest.raises(CommandError, match="no results"):
        Run([sys.executable, "-c", ending], tmp_path).execute()


def test_a_run_that_fails_after_its_results_is_an_error(tmp_path):
    script = "import sys; open(sys.argv[1], 'w'); sys.exit(3)"
    with pytest.raises(CommandError, match="exit code 3"):
        Run([sys.executable, "-c", script, str(tmp_path / "now_results.json")], tmp_path).execute()


def test_answers_are_put_in_the_order_of_the_questions(tmp_path):
    path = tmp_path / "now_samples_mme.jsonl"
    path.write_text("".join(f'{{"doc_id": {number}, "answer": "é\u2028"}}\n' for number in (0, 2, 10, 1, 3)))
    put_in_order(tmp_path)
    assert [json.loads(line)["doc_id"] for line in path.open()] == [0, 1, 2, 3, 10]


RESULTS = {
    "results": {
        "mme": {"alias": "mme", "mme_perception_score,none": 1500.0, "mme_perception_score_stderr,none": "N/A",
                "mme_cognition_score,none": 300.0, "samples": 9},
        "pope": {"pope_accuracy,none": 0.8, "pope_f1_score,none": 0.9, "pope_yes_ratio,none": 0.5},
        "gqa": {"alias": "gqa", "exact_match,none": 0.6, "exact_match_stderr,none": 0.1, "exact_match_stderr_clt,none": 0.1},
        "mvbench": {"alias": "mvbench", "accuracy,none": 0.5},
        "mvbench_moving_count": {"alias": " - mvbench_moving_count", "accuracy,none": 0.5, "submission,none": None},
        "empty": {"alias": "empty"},
    },
    "group_subtasks": {"mvbench": ["mvbench_moving_count"], "gqa": []},
}  # fmt: skip


def test_a_tasks_score_is_the_one_that_papers_quote():
    assert scores(RESULTS) == {"mme": 1800.0, "pope": 0.9, "gqa": 0.6, "mvbench_moving_count": 0.5}


def test_the_share_kept_is_the_mean_over_tasks(tmp_path):
    dropped = json.loads(json.dumps(RESULTS))
    dropped["results"]["mme"]["mme_cognition_score,none"] = 120.0
    dropped["results"]["gqa"]["exact_match,none"] = 0.3
    runs = {"dense": tmp_path / "dense.json", "v2drop 0.5": tmp_path / "dropped.json"}
    for path, results in zip(runs.values(), (RESULTS, dropped), strict=True):
        path.write_text(json.dumps(results))
    figures = {"dense": {"retained": 1.0, "prefill_ms": 10.0}, "v2drop 0.5": {"retained": 0.5, "prefill_ms": 4.0}}
    compared = compare(runs, figures)
    assert compared["kept"] == {"dense": 1.0, "v2drop 0.5": pytest.approx((0.9 + 1 + 0.5 + 1) / 4)}
    page = markdown(compared)
    assert "| mme | 1800 | 1620 (90.0%) |" in page
    assert "| kept, mean | 100.0% | 85.0% |" in page
    assert "| LLM prefill, ms | 10.0 | 4.0 (40.0%) |" in page
    assert "decode" not in page, "a figure that a run lacks is left out"


def test_dense_always_runs_and_only_once():
    labels = [choice.label for choice in list_choices(["dense", "v2drop"], ["llava-1.5-192"], [0.5])]
    assert labels == ["dense", "v2drop llava-1.5-192", "v2drop 0.5"]
    assert [choice.label for choice in list_choices(["v2drop"], [], [])] == ["dense", "v2drop"]


def test_nothing_else_imports_the_plug_in_or_lmms_eval():
    for path in [*SCRIPTS.rglob("*.py"), *(ROOT / "core").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]:
        if path.parent.name == "v2drop_lmms_eval":
            continue
        tree = ast.parse(path.read_text())
        inner = {each for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for each in ast.walk(node)}
        for node in ast.walk(tree):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                assert name.partition(".")[0] != "lmms_eval", path
                assert name.partition(".")[0] != "v2drop_lmms_eval" or (path.name == "eval.py" and node in inner), path
