"""The harness: all contenders answer the same questions, batch by batch in turn, and the journal records everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.progress import Progress, TaskID

import v2drop
from v2drop_loading.defaults import BATCH
from v2drop_loading.generation import generate_answers, is_right
from v2drop_measuring.journal import Journal
from v2drop_measuring.peak_memory import PeakMemory
from v2drop_measuring.position_bias import kept_places
from v2drop_measuring.timing import suitable_threads
from v2drop_terminal.errors import CommandError

from .contenders import Contender
from .latency import time_answer
from .records import Answered, Kind, Record, Timed, read_records
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
    def key(self) -> tuple[str, str]:
        """Tells it from the other subjects of a comparison."""
        return self.name, self.modality

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
        self._done = {record.key for record in read_records(journal)}

    def run(self, subject: Subject, bar: TaskID) -> None:
        """Ask all contenders all questions, then the timed ones; `bar` shows the progress."""
        ready = [contender for contender in subject.contenders if contender.error is None]
        raced = [contender for contender in ready if contender.draw == 0]  # all seeds of random take the same time
        count = len(subject.task.questions)
        starts, timed, warm = range(0, count, BATCH), min(self.timed, count), False
        self.progress.update(bar, description=subject.title, total=len(ready) * len(starts) + len(raced) * timed)
        for start in starts:
            todo = self._missing(Answered, subject, start, ready, bar)
            if not todo:
                continue
            batch = self._load(subject, range(start, min(start + BATCH, count)))
            self._check_same(subject, start, batch)
            if batch.numbers and not warm:
                self._answer(subject, batch, start, todo[0])  # warm-up: the first run takes more memory
                warm = True
            for contender in todo:
                if batch.numbers:
                    self._write(self._answer(subject, batch, start, contender), bar)
                else:
                    self._write(_record(Answered, subject, start, contender), bar)
        with suitable_threads(subject.model):
            self._time(subject, timed, raced, bar)

    def _time(self, subject: Subject, timed: int, raced: Sequence[Contender], bar: TaskID) -> None:
        """Time the first `timed` questions one by one."""
        for number in range(timed):
            todo = self._missing(Timed, subject, number, raced, bar)
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
                self._write(_record(Timed, subject, number, contender, **times), bar)

    def _answer(self, subject: Subject, batch: Batch, start: int, contender: Contender) -> Answered:
        """One contender's answers to a batch, and what it kept."""
        inputs = batch.inputs.to(subject.model.device)
        with contender.attach(subject.model, self.seed, batch.numbers) as run, PeakMemory() as memory:
            answers = generate_answers(subject.model, subject.processor, inputs, subject.task.max_new_tokens)
        assert run.report is not None
        mask = v2drop.get_adapter(subject.model).vision_mask(subject.model, inputs)
        asked = [subject.task.questions[number] for number in batch.numbers]
        return _record(
            Answered,
            subject,
            start,
            contender,
            numbers=list(batch.numbers),
            answers=[answer.strip() for answer in answers],
            right=[is_right(answer, one.answers) for answer, one in zip(answers, asked, strict=True)],
            retained=run.report.retained,
            vision_tokens=sum(run.report.vision_tokens),
            peak=memory.peak,
            rest=memory.rest,
            places={} if mask is None else kept_places(run.report, mask),
        )

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
        for record in read_records(self.journal):
            if not isinstance(record, Answered) or record.key[1:4] != (*subject.key, start):
                continue
            if list(record.numbers) != list(batch.numbers):
                raise CommandError(
                    f"{subject.task.name}: questions {start + 1} to {start + BATCH}: other pictures or videos can be read "
                    "than when this run was stopped: pass another folder to --out"
                )

    def _missing(
        self, kind: type[Kind], subject: Subject, start: int, ready: Sequence[Contender], bar: TaskID
    ) -> list[Contender]:
        """The contenders that have not done this yet; the bar advances by the others."""
        missing = [each for each in ready if _record(kind, subject, start, each).key not in self._done]
        self.progress.advance(bar, len(ready) - len(missing))
        return missing

    def _write(self, record: Record, bar: TaskID) -> None:
        self.journal.add(record.to_dict())
        self.progress.advance(bar)


def _record(kind: type[Kind], subject: Subject, start: int, contender: Contender, **result: Any) -> Kind:
    method, budget, draw = contender.key
    return kind(subject.name, subject.modality, start, method, budget, draw, **result)
