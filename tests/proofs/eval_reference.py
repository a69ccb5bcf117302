"""What `v2drop compare-methods` makes of an lmms-eval task of the zoo's questions, answer by answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from v2drop_comparing.experiment import Settings, load_subject, run_comparison
from v2drop_comparing.harness import BATCH
from v2drop_lmms_eval.zoo_task import QUESTIONS, task_names
from v2drop_loading.checkpoints import find_checkpoint
from v2drop_loading.generation import generate_answers
from v2drop_loading.methods import BASELINE
from v2drop_zoo.exam import LONGEST_ANSWER

METHOD = "v2drop"
RETAINED = 0.333


@dataclass(frozen=True)
class Reference:
    """One method's answers to a task, how many of them are right, and the share of vision tokens retained."""

    method: str
    answers: list[str]
    right: int
    retained: float


def references(task: str, tasks: Path, count: int, seed: int, out: Path) -> list[Reference]:
    """Dense and dropped.

    Args:
        tasks: the folder with the tasks' folders.
        out: where compare-methods keeps its journal.
    """
    name, modality = task_names()[task]
    file = tasks / task / QUESTIONS
    settings = Settings(
        "compare-methods", [(name, modality)], [METHOD], [RETAINED], count, seed, 0, file, LONGEST_ANSWER
    )
    rows = {row["method"]: row for row in run_comparison(settings, out / task, quiet=True).results["rows"]}
    subject = load_subject(find_checkpoint(name), modality, settings, "cpu")
    found = []
    for contender in subject.contenders:
        if contender.method != BASELINE:
            answers: list[str] = []
            for start in range(0, count, BATCH):  # as they come: its journal holds them without space around
                batch = subject.task.load(range(start, min(start + BATCH, count)))
                with contender.attach(subject.model, seed, batch.numbers):
                    answers += generate_answers(subject.model, subject.processor, batch.inputs, LONGEST_ANSWER)
            row = rows[contender.method]
            found.append(Reference(contender.method, answers, row["right"], row["retained"]))
    return found
