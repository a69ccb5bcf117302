"""Prove `v2drop batch` at full size: ``make batch-proof``, which is ``python -m proofs.batch_proof``.

Zoo questions, some of them corrupted, on actors of this machine: what one actor does against two, and that every row is
answered exactly once, and as without Ray, although an actor and the driver are killed in the middle. Ends with exit code 1 where
that does not hold.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import psutil
import pyarrow.parquet as pq
import ray
import torch
import typer

from v2drop_batch.answerer import Answer, Answerer, Settings
from v2drop_batch.inputs import find_input
from v2drop_batch.store import ANSWERS, REJECTED
from v2drop_loading.schedules import Keep
from v2drop_measuring.versions import versions
from v2drop_terminal.errors import CommandError, tell_mistakes

from .batch_proof_data import Questions, write_questions
from .batch_proof_faults import Run, actors_of

RETAIN, NEW_TOKENS, BATCH, BLOCK = 0.333, 4, 25, 50
ORDER = (1, 2, 2, 1, 1, 2)  # actors of the runs that are timed, so that a machine that gets slower harms both
PAGE = """# Bulk inference on Ray Data

Made by `make batch-proof` on {date}: {rows} questions about test-split digits (seed {seed}), {bad} of them corrupted, to the
zoo's LLaVA with V2Drop at {retain}; {versions}; {cores} cores, one an actor.

| what | measured |
|---|---|
| rows answered, each exactly once, after a killed driver and a killed actor | {answered} of {rows} |
| rows rejected, with the reason | {rejected} |
| blocks of {block} rows that were done when the driver was killed, and were not done again | {blocks_before} |
| answers that differ from those of the same model without Ray | {different} |
| right answers | {accuracy:.1%} |
| rows/s of one actor | {one} |
| rows/s of two actors | {two} |
| two actors against one | {ratio:.2f} x |

Rows/s count from the first block's begin, {timed} rows a run; medians, with all runs in brackets, taken in the order {order}
(actors). Before each of them other work kept {busy} of the {cores} cores busy.
"""


def main(
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("docs/results"),
    work: Annotated[Path, typer.Option(help="A folder for questions and answers; what it holds is deleted.")] = Path(
        "out/batch-proof"
    ),
    rows: Annotated[int, typer.Option(min=200, help="How many questions.")] = 2000,
    timed: Annotated[int, typer.Option(min=100, help="How many of them in each run that is timed.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which questions.")] = 0,
) -> None:
    """Measure, check, and write batch.json and batch.md."""
    began = datetime.datetime.now(datetime.timezone.utc)
    timed = min(timed, rows)
    shutil.rmtree(work, ignore_errors=True)
    questions = write_questions(work / "questions", rows, seed, 0.05)
    wanted = _without_ray(questions)
    runs = _throughput(questions, work, timed)
    data: dict[str, Any] = {
        "date": began.date().isoformat(),
        "seed": seed,
        "rows": rows,
        "corrupted": len(questions.corrupted),
        "versions": {**versions(), "ray": ray.__version__},
        "cores": os.cpu_count(),
        "settings": {"model": "llava", "retain": RETAIN, "batch": BATCH, "block": BLOCK, "max_new_tokens": NEW_TOKENS},
        "timed_runs": runs,
        "faults": _faults(questions, work / "faults", wanted),
    }
    data["two_actors_against_one"] = _median(runs, 2) / _median(runs, 1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "batch.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "batch.md").write_text(_page(data, timed))
    typer.echo((out / "batch.md").read_text())
    faults = data["faults"]
    if faults["twice"] or faults["different"] or faults["missing"] or not faults["rejected_are_the_corrupted"]:
        raise CommandError(f"not proven: {faults}")


def _without_ray(questions: Questions) -> dict[int, str]:
    """What one model answers in this process, by line."""
    torch.set_num_threads(1)
    answerer = Answerer(Settings("llava", "v2drop", Keep(RETAIN), 0, NEW_TOKENS), BATCH)
    blocks = find_input(questions.file, None, BLOCK).blocks
    outcomes = [outcome for block in blocks for outcome in answerer.answer(block.rows())]
    return {outcome.line: outcome.answer for outcome in outcomes if isinstance(outcome, Answer)}


def _throughput(questions: Questions, work: Path, timed: int) -> list[dict[str, Any]]:
    """The reports of runs of one and of two actors, on the same rows."""
    file = questions.file.with_name("timed.jsonl")
    file.write_text("".join(questions.file.read_text().splitlines(keepends=True)[:timed]))
    reports = []
    for number, actors in enumerate(ORDER):
        busy = psutil.cpu_percent(interval=2) / 100 * (os.cpu_count() or 1)
        code, report, said = Run(work / f"timed-{number}", *_options(file), "--actors", actors).finish()
        if code != 1 or report["answered"] + report["rejected"] != timed:
            raise CommandError(f"a timed run failed with exit code {code}: {said}")
        typer.echo(f"actors: {actors}, {report['rows_per_second']:.1f} rows/s", err=True)
        del report["output"]
        reports.append({"busy_cores_before": busy, **report})
    return reports


def _faults(questions: Questions, output: Path, wanted: dict[int, str]) -> dict[str, Any]:
    """Kill the driver, go on, kill an actor, and compare what is there with what should be."""
    rows = len(questions.right) + len(questions.corrupted)
    options = (*_options(questions.file), "--actors", 2)
    run = Run(output, *options)
    run.wait_for_blocks(rows // BLOCK // 4)
    run.process.kill()
    run.finish()
    before = {file: file.stat().st_mtime_ns for file in (output / ANSWERS).glob("block-*")}
    run = Run(output, *options)
    run.wait_for_blocks(rows // BLOCK // 2)
    actors_of(run.process.pid)[0].kill()
    code, report, said = run.finish()
    table = pq.read_table(output / ANSWERS).to_pylist()
    answers = {row["line"]: row["answer"] for row in table}
    rejected = pq.read_table(output / REJECTED)["line"].to_pylist()
    return {
        "exit_code": code,
        "answered": len(table),
        "twice": len(table) - len(answers),
        "missing": len(wanted.keys() - answers.keys()),
        "different": sum(answers.get(line) != answer for line, answer in wanted.items()),
        "right": sum(answers.get(line) == answer for line, answer in questions.right.items()),
        "rejected": len(rejected),
        "rejected_are_the_corrupted": sorted(rejected) == sorted(questions.corrupted),
        "blocks_when_the_driver_was_killed": len(before),
        "blocks_done_again": sum(file.stat().st_mtime_ns != time for file, time in before.items()),
        "actor_was_replaced": "will be retried" in said,
        "second_run": {name: value for name, value in report.items() if name != "output"},
    }


def _options(file: Path) -> Sequence[object]:
    numbers = ("--batch-size", BATCH, "--block", BLOCK, "--max-new-tokens", NEW_TOKENS)
    return ("--input", file, "--model", "llava", "--retain", RETAIN, *numbers)


def _speeds(runs: Sequence[dict[str, Any]], actors: int) -> list[float]:
    return [run["rows_per_second"] for run in runs if run["actors"] == actors]


def _median(runs: Sequence[dict[str, Any]], actors: int) -> float:
    return statistics.median(_speeds(runs, actors))


def _page(data: dict[str, Any], timed: int) -> str:
    faults, runs = data["faults"], data["timed_runs"]
    speeds = [
        f"{_median(runs, actors):.1f} ({', '.join(f'{speed:.1f}' for speed in _speeds(runs, actors))})"
        for actors in (1, 2)
    ]
    return PAGE.format(
        date=data["date"],
        seed=data["seed"],
        rows=data["rows"],
        bad=data["corrupted"],
        retain=RETAIN,
        block=BLOCK,
        versions=", ".join(f"{name} {version}" for name, version in data["versions"].items()),
        cores=data["cores"],
        answered=faults["answered"],
        rejected=faults["rejected"],
        blocks_before=faults["blocks_when_the_driver_was_killed"],
        different=faults["different"],
        accuracy=faults["right"] / faults["answered"],
        one=speeds[0],
        two=speeds[1],
        ratio=data["two_actors_against_one"],
        timed=timed,
        order=", ".join(map(str, ORDER)),
        busy=", ".join(f"{run['busy_cores_before']:.1f}" for run in runs),
    )


if __name__ == "__main__":
    tell_mistakes(lambda: typer.run(main))
