"""Does lmms-eval, by way of the plug-in, give what `v2drop compare-methods` gives? ``make eval-proof``.

Every zoo model, dense and with a third of the vision tokens, answers the same questions both ways; answers are compared one
by one. Then two processes, one of which is killed in the middle. Run it again after a stop and it goes on.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any

import typer
from proofs.eval_crash import answered, kill_in_the_middle
from proofs.eval_reference import METHOD, RETAINED, references

from v2drop_cli.eval import evaluate
from v2drop_comparing.table_output import markdown_line
from v2drop_llava import LlavaAdapter
from v2drop_lmms_eval.runs import Evaluation, make_run
from v2drop_lmms_eval.zoo_task import task_names, write_task
from v2drop_measuring.versions import versions
from v2drop_terminal.errors import tell_mistakes

FEWEST = 80  # questions to two processes, so that there is a middle
FOLDERS = {"dense": "dense", METHOD: f"{METHOD}-{RETAINED}"}  # of `v2drop eval`, in its --out
PAGE = """# lmms-eval and compare-methods

Made by `make eval-proof` on {date}: seed {seed}, {questions} questions a task; {versions}; cpu, float32.

The zoo's models answer the same questions through lmms-eval (one at a time) and through `v2drop compare-methods` (in batches),
dense and with V2Drop. Answers are compared one by one.

| task | method | retained | right, lmms-eval | right, compare-methods | same answers |
|---|---|---|---|---|---|
{rows}

Two processes of `accelerate launch` (CPU, gloo), {two[questions]} questions of zoo_llava: one was killed in the middle, with
{two[before_crash]} answers on disk. That ended the run with exit code {two[exit_code]} after {two[seconds_to_end]:.1f} s. The
same command went on: {two[same_answers]} of {two[questions]} answers are those of one process, in the original order, and
{two[answered_twice]} questions were answered twice.
"""


def compare_model(name: str, tasks: Path, count: int, seed: int, work: Path) -> list[dict[str, Any]]:
    """lmms-eval on all tasks of a model, beside compare-methods: a row for each task and method."""
    names = [task for task, (model, _) in task_names().items() if model == name]
    lossless = "lossless=True" if name == "qwen2_vl" else None  # else its pictures are not those of compare-methods
    out = work / name
    evaluate(name, ",".join(names), retain=[str(RETAINED)], include_path=tasks, model_args=lossless, out=out)
    rows = []
    for task in names:
        for reference in references(task, tasks, count, seed, work / "compared"):
            samples = read_samples(out / FOLDERS[reference.method], task)
            rows.append(
                {
                    "task": task,
                    "method": reference.method,
                    "questions": count,
                    "retained": reference.retained,
                    "right": int(sum(sample["accuracy"] for sample in samples)),
                    "right_compared": reference.right,
                    "same_answers": same([sample["filtered_resps"] for sample in samples], reference.answers),
                }
            )
    return rows


def two_processes(count: int, seed: int, work: Path) -> dict[str, Any]:
    """LLaVA in two processes, one of which is killed; then the same command again."""
    rmtree(work, ignore_errors=True)  # a run that is complete has no middle
    task = "zoo_llava"
    write_task(work / "tasks", task, count, seed)
    evaluation = Evaluation(
        LlavaAdapter.lmms_model, "llava", task, include_path=work / "tasks", processes=2, on_cpu=True
    )
    run = make_run(evaluation, {"method": METHOD, "retained": RETAINED}, work / "run")
    crash = kill_in_the_middle(run, rank=1)
    before = answered(run)
    run.execute()
    after = answered(run)
    assert all(key in after for key in before), "answers from before the crash are gone"
    [reference] = [each for each in references(task, work / "tasks", count, seed, work) if each.method == METHOD]
    return {
        "questions": count,
        **crash,
        "before_crash": len(before),
        "answered_twice": len(after) - len(set(after)),
        "same_answers": same(
            [sample["filtered_resps"] for sample in read_samples(run.folder, task)], reference.answers
        ),
    }


def read_samples(folder: Path, task: str) -> list[dict[str, Any]]:
    """The answers that lmms-eval wrote to a run's folder."""
    [path] = folder.rglob(f"*_samples_{task}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(answers: list[str], expected: list[str]) -> int:
    """How many are the same at the same place."""
    return sum(one.strip() == other.strip() for one, other in zip(answers, expected, strict=True))


def write(data: dict[str, Any], out: Path) -> None:
    """As JSON and as a page of Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "lmms_eval.json").write_text(json.dumps(data, indent=1) + "\n")
    lines = []
    for row in data["rows"]:
        counts = (f"{row[name]} of {row['questions']}" for name in ("right", "right_compared", "same_answers"))
        lines.append(markdown_line([row["task"], row["method"], f"{row['retained']:.3f}", *counts]))
    about = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
    page = PAGE.format(**{**data, "versions": about, "rows": "\n".join(lines)}, two=data["two_processes"])
    (out / "lmms_eval.md").write_text(page)


def main(
    questions: Annotated[int, typer.Option(min=1, help="How many questions a task.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Which questions.")] = 0,
    model: Annotated[list[str] | None, typer.Option(help="Only this model; repeat it for several.")] = None,
    work: Annotated[Path, typer.Option(help="Where a stopped run goes on from.")] = Path("out/eval-proof"),
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("docs/results"),
) -> None:
    """Compare, and exit with code 1 where anything differs."""
    work = work / f"{questions}-questions-seed-{seed}"
    tasks = work / "tasks"
    for task in task_names():
        # the yaml is written last; a second time, videos would differ in a few pixels
        if not (tasks / task / f"{task}.yaml").exists():
            write_task(tasks, task, questions, seed)
    names = list(dict.fromkeys(name for name, _ in task_names().values()))
    rows = [row for name in model or names for row in compare_model(name, tasks, questions, seed, work)]
    processes = two_processes(max(questions, FEWEST), seed, work / "two_processes")
    found = {**versions(), "lmms-eval": version("lmms-eval"), "accelerate": version("accelerate")}
    data = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seed": seed,
        "questions": questions,
        "versions": found,
        "rows": rows,
        "two_processes": processes,
    }
    write(data, out)
    bad = [row for row in [*rows, processes] if row["same_answers"] != row["questions"]]
    if bad or processes["answered_twice"] or not processes["exit_code"]:
        sys.exit(f"not the same: {bad or processes}")


if __name__ == "__main__":
    tell_mistakes(lambda: typer.run(main))
