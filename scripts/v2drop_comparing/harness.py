"""The harness: all contenders answer the same questions, batch by batch in turn, and the journal records everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.progress import Progress, TaskID

import v2drop
from v2drop_comparing.latency import time_answer
from v2drop_loading.defaults import BATCH
from v2drop_loading.generation import generate_answers, is_right
from v2drop_measuring.journal import Journal
from v2drop_measuring.peak_memory import PeakMemory
from v2drop_measuring.position_bias import kept_places
from v2drop_measuring.timing import suitable_threads
from v2drop_terminal.errors import CommandError

from .contenders import Contender
from .tasks import Batch, Task, subject_title


@dataclass(frozen=True)
class Subject:
    """A model with its task and contenders. Its name and modality identify it."""

    name: str
    modality: str
    model: Any
    processor: Any
    task: Task
    contenders: Sequence[Contender]

    @property
    def title(self) -> str:
        return subject_title(self.name, self.modality)

    @property
    def num_layers(self) -> int:
        return len(v2drop.get_adapter(self.model).decoder_layers(self.model))


class Harness:
    """Runs the contenders of a subject; what the journal already holds is not run again.

    Args:
        journal: the journal of a run with the same settings.
        seed: the seed of method random.
        timed: how many questions are timed one by one.
        progress: the display of progress bars.
    """

    def __init__(self, journal: Journal, seed: int, timed: int, progress: Progress) -> None:
        self.journal, self.seed, self.timed, self.progress = journal, seed, timed, progress
        self._done = {_key(record) for record in journal.records}

    def run(self, subject: Subject, bar: TaskID) -> None:
        """Ask all contenders all questions, then the timed ones; `bar` shows the progress."""
        ready = [contender for contender in subject.contenders if contender.error is None]
        raced = [contender for contender in ready if contender.draw == 0]  # all seeds of random take the same time
        count = len(subject.task.questions)
        starts, timed, warm = range(0, count, BATCH), min(self.timed, count), False
        self.progress.update(bar, description=subject.title, total=len(ready) * len(starts) + len(raced) * timed)
        for start in starts:
            todo = self._missing(subject, "batch", start, ready, bar)
            if not todo:
                continue
            batch = self._load(subject, range(start, min(start + BATCH, count)))
            self._check_same(subject, start, batch)
            if batch.numbers and not warm:
                self._answers(subject, batch, todo[0])  # warm-up: the first run takes more memory
                warm = True
            for contender in todo:
                result = self._answers(subject, batch, contender) if batch.numbers else {"numbers": []}
                self._write(subject, "batch", start, contender, result, bar)
        with suitable_threads(subject.model):
            self._time(subject, timed, raced, bar)

    def _time(self, subject: Subject, timed: int, raced: Sequence[Contender], bar: TaskID) -> None:
        """Time the first `timed` questions one by one."""
        for number in range(timed):
            todo = self._missing(subject, "timed", number, raced, bar)
            if not todo:
                continue
            batch = self._load(subject, [number])
            inputs = batch.inputs.to(subject.model.device) if batch.numbers else None
            turn = number % len(raced)  # rotate the order so that no method always runs first
            order = [contender for contender in [*raced[turn:], *raced[:turn]] if contender in todo]
            if inputs is not None:
                time_answer(subject.model, inputs, order[0], self.seed, number)  # warm-up, untimed
            for contender in order:
                times = {} if inputs is None else time_answer(subject.model, inputs, contender, self.seed, number)
                self._write(subject, "timed", number, contender, times, bar)

    def _answers(self, subject: Subject, batch: Batch, contender: Contender) -> dict[str, Any]:
        """One contender's answers to a batch, and what it kept."""
        inputs = batch.inputs.to(subject.model.device)
        with contender.attach(subject.model, self.seed, batch.numbers) as run, PeakMemory() as memory:
            answers = generate_answers(subject.model, subject.processor, inputs, subject.task.max_new_tokens)
        assert run.report is not None
        mask = v2drop.get_adapter(subject.model).vision_mask(subject.model, inputs)
        asked = [subject.task.questions[number] for number in batch.numbers]
        return {
            "numbers": list(batch.numbers),
            "answers": [answer.strip() for answer in answers],
            "right": [is_right(answer, one.answers) for answer, one in zip(answers, asked, strict=True)],
            "retained": run.report.retained,
            "vision_tokens": sum(run.report.vision_tokens),
            "peak": memory.peak,
            "rest": memory.rest,
            "places": {} if mask is None else kept_places(run.report, mask),
        }

    def _load(self, subject: Subject, numbers: Sequence[int]) -> Batch:
        """Load a batch; what had to be skipped goes into the journal."""
        batch = subject.task.load(numbers)
        for skipped in batch.skipped:
            record = {"record": "skipped", "model": subject.name, "modality": subject.modality, **skipped.to_dict()}
            if record not in self.journal.records:
                self.journal.add(record)
        return batch

    def _check_same(self, subject: Subject, start: int, batch: Batch) -> None:
        """Raise CommandError if earlier answers are to other questions of this batch: files have come or gone since."""
        where = {"record": "batch", "model": subject.name, "modality": subject.modality, "start": start}
        for record in self.journal.records:
            if where.items() <= record.items() and record["numbers"] != list(batch.numbers):
                raise CommandError(
                    f"{subject.task.name}: questions {start + 1} to {start + BATCH}: other pictures or videos can be read "
                    "than when this run was stopped: pass another folder to --out"
                )

    def _missing(
        self, subject: Subject, record: str, start: int, ready: Sequence[Contender], bar: TaskID
    ) -> list[Contender]:
        """The contenders that have not done this yet; the bar advances by the others."""
        keys = {contender: (record, subject.name, subject.modality, start, *contender.key) for contender in ready}
        missing = [contender for contender, key in keys.items() if key not in self._done]
        self.progress.advance(bar, len(ready) - len(missing))
        return missing

    def _write(
        self, subject: Subject, record: str, start: int, contender: Contender, result: dict[str, Any], bar: TaskID
    ) -> None:
        where = {"record": record, "model": subject.name, "modality": subject.modality, "start": start}
        who = {"method": contender.method, "budget": contender.budget, "draw": contender.draw}
        self.journal.add({**where, **who, **result})
        self.progress.advance(bar)


def records_of(journal: Journal, subject: Subject, contender: Contender, record: str) -> Iterator[dict[str, Any]]:
    """The journal's records of one contender on one subject, in the order of questions."""
    where = (record, subject.name, subject.modality)
    found = [each for each in journal.records if _key(each)[:3] == where and _key(each)[4:] == contender.key]
    return iter(sorted(found, key=lambda each: each["start"]))


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in ("record", "model", "modality", "start", "method", "budget", "draw"))
