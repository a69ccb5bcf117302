"""Mutants of what runs real benchmarks: a run that failed, answers out of order, the wrong score."""

from __future__ import annotations

from .mutant import Mutant

RUNS = "scripts/v2drop_lmms_eval/runs.py"
TABLE = "scripts/v2drop_lmms_eval/table.py"
EVAL = "tests/cli/test_eval_command.py::test_"

EVALUATION = [
    Mutant(
        "lmms-eval",
        "a run without results counts as done",
        RUNS,
        "if done.returncode or not new:",
        "if done.returncode:",
        (f"{EVAL}a_run_that_leaves_no_results_is_an_error",),
    ),
    Mutant(
        "lmms-eval",
        "a run that failed counts as done if it wrote results",
        RUNS,
        "if done.returncode or not new:",
        "if not new:",
        (f"{EVAL}a_run_that_fails_after_its_results_is_an_error",),
    ),
    Mutant(
        "lmms-eval",
        "answers of several processes stay one after the other's",
        RUNS,
        'sorted(lines, key=lambda line: json.loads(line)["doc_id"])',
        "list(lines)",
        (f"{EVAL}answers_are_put_in_the_order_of_the_questions",),
    ),
    Mutant(
        "lmms-eval",
        "MME is its first score alone",
        TABLE,
        '"mme": ["mme_perception_score", "mme_cognition_score"], ',
        "",
        (f"{EVAL}a_tasks_score_is_the_one_that_papers_quote",),
    ),
]
