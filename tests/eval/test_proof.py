"""`python -m lmms_eval` on all zoo models gives what compare-methods gives; `make eval-proof`, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
QUESTIONS = 20
CONTROL = "zoo_llava_control"


@pytest.fixture(scope="module")
def proof(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proof")
    command = [
        sys.executable,
        "-m",
        "proofs.eval_proof",
        "--questions",
        str(QUESTIONS),
        "--work",
        str(folder),
        "--out",
        str(folder),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TESTS, *filter(None, sys.path))))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (folder / "lmms_eval.json").exists(), done.stderr[-5000:]
    [work] = folder.glob("*questions*")
    return json.loads((folder / "lmms_eval.json").read_text()), work


def test_every_answer_is_that_of_compare_methods(proof):
    rows = proof[0]["rows"]
    assert {(row["task"], row["method"]) for row in rows} == {
        (task, method)
        for task in ("zoo_llava", CONTROL, "zoo_llava_next", "zoo_qwen2_vl", "zoo_qwen2_vl_video")
        for method in ("dense", "v2drop")
    }
    for row in rows:
        assert row["same_answers"] == row["questions"] == QUESTIONS, row
        assert row["right"] == row["right_compared"], row


def test_most_answers_are_right(proof):
    """But for the control's, whose dropped tokens are those that matter."""
    for row in proof[0]["rows"]:
        most = row["right"] >= 0.75 * QUESTIONS
        assert most == ((row["task"], row["method"]) != (CONTROL, "v2drop")), row


def test_lmms_evals_results_carry_schedule_retained_share_tokens_latency_and_memory(proof):
    rows = {(row["task"], row["method"]): row for row in proof[0]["rows"]}
    for method, folder in (("dense", "dense"), ("v2drop", "v2drop-0.333")):
        [path] = (proof[1] / "llava" / folder).rglob("*_results.json")
        figures = json.loads(path.read_text())["throughput"]
        assert figures["avg_retained"] == pytest.approx(rows["zoo_llava", method]["retained"])
        assert figures["avg_vision_tokens"] == 144
        assert figures["avg_vision_tokens_kept"] == pytest.approx(144 * figures["avg_retained"])
        assert figures["avg_prompts"] == QUESTIONS
        assert 0 < figures["avg_prefill_ms"] < figures["avg_answer_ms"]
        assert figures["avg_decode_ms"] > 0
        assert figures["avg_peak_bytes"] > 1e8
        assert figures["total_gen_tokens"] == pytest.approx(QUESTIONS * figures["avg_new_tokens"])
        keeps = {name: value for name, value in figures.items() if name.startswith("avg_keep_before_layer_")}
        assert [int(name.rpartition("_")[2]) for name in keeps] == ([] if method == "dense" else [1, 5, 8])


def test_eval_tabulates_the_share_kept(proof):
    for name in ("llava", "qwen2_vl"):
        results = json.loads((proof[1] / name / "results.json").read_text())
        shares = []
        for task, scores in results["scores"].items():
            right = {each["method"]: each["right"] for each in proof[0]["rows"] if each["task"] == task}
            assert scores == {"dense": right["dense"] / QUESTIONS, "v2drop 0.333": right["v2drop"] / QUESTIONS}
            shares.append(right["v2drop"] / right["dense"])
        assert results["kept"] == {"dense": 1.0, "v2drop 0.333": pytest.approx(sum(shares) / len(shares))}
        assert results["figures"]["v2drop 0.333"]["retained"] == pytest.approx(0.333, abs=0.01)
        assert results["figures"]["dense"]["retained"] == 1
        assert "| retained |" in (proof[1] / name / "results.md").read_text()


def test_two_processes_answer_as_one_and_a_killed_one_is_resumed(proof):
    two = proof[0]["two_processes"]
    assert two["exit_code"] != 0
    assert two["seconds_to_end"] < 60
    assert 0 < two["before_crash"] < two["questions"]
    assert two["answered_twice"] == 0
    assert two["same_answers"] == two["questions"]
