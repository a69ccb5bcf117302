"""Builds and runs lmms-eval's command lines for one model, dense and dropped."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from v2drop_terminal.errors import CommandError

ANSWERS = "answers"  # folder of the answers so far, in a run's folder


@dataclass(frozen=True)
class Evaluation:
    """The options that all runs share. Attributes are options of lmms-eval."""

    lmms_model: str
    pretrained: str
    tasks: str
    model_args: str | None = None
    include_path: Path | None = None
    limit: int | None = None
    batch_size: int = 1
    processes: int = 1
    on_cpu: bool = False


@dataclass(frozen=True)
class Run:
    """One run of lmms-eval: its command, its environment variables, and its output folder."""

    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The command line as typed in a shell."""
        return " ".join([*(f"{name}={value}" for name, value in self.environment.items()), shlex.join(self.command)])

    def execute(self) -> Path:
        """Run it with its output on stderr; returns the results file. Raises CommandError if there is none."""
        before = set(self.folder.rglob("*_results.json"))
        done = subprocess.run(self.command, env={**os.environ, **self.environment}, stdout=sys.stderr, check=False)
        new = sorted(set(self.folder.rglob("*_results.json")) - before)
        if done.returncode or not new:  # lmms-eval exits with 0 after most errors
            raise CommandError(
                f"lmms-eval ended with exit code {done.returncode} and {'' if new else 'no '}results: see above; "
                "run the same command again to resume"
            )
        put_in_order(self.folder)
        return new[-1]


def make_run(evaluation: Evaluation, choice: Mapping[str, object], folder: Path) -> Run:
    """The run of one choice, such as {"method": "v2drop", "retained": 0.333}, with its output folder."""
    model_args = {"pretrained": evaluation.pretrained, **choice, "journal": folder / ANSWERS}
    given = ",".join(f"{name}={value}" for name, value in model_args.items())
    options = {
        "model": evaluation.lmms_model,
        "model_args": f"{given},{evaluation.model_args}" if evaluation.model_args else given,
        "tasks": evaluation.tasks,
        "include_path": evaluation.include_path,
        "limit": evaluation.limit,
        "batch_size": evaluation.batch_size,
        "output_path": folder,
    }
    command = [sys.executable, "-m"]
    environment = {}
    if evaluation.processes > 1:
        command += ["accelerate.commands.launch", "--num_processes", str(evaluation.processes)]
        command += ["--main_process_port", "0"]  # any free port
        if evaluation.on_cpu:  # accelerate starts several CPU processes only with --multi_gpu
            command += ["--multi_gpu"]
            environment["ACCELERATE_USE_CPU"] = "true"
        command += ["-m"]
    command += ["lmms_eval", "--log_samples"]
    for name, value in options.items():
        command += [] if value is None else [f"--{name}", str(value)]
    return Run(command, folder, environment)


def put_in_order(folder: Path) -> None:
    """Sort the answer files by question: lmms-eval writes the answers of one process after another."""
    for path in folder.rglob("*_samples_*.jsonl"):
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")  # an answer may hold other line separators
        lines = sorted(lines, key=lambda line: json.loads(line)["doc_id"])
        path.write_text("\n".join(lines) + "\n", "utf-8")
