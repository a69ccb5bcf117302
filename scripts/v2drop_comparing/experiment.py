"""One comparison from its settings to its results: models one after the other, each with all that compete on it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from v2drop import Schedule, ScheduleError
from v2drop_loading.checkpoints import (
    RECOMMENDATION,
    Checkpoint,
    find_adapter,
    find_checkpoint,
    load_config,
    load_decoder,
    load_model,
)
from v2drop_loading.defaults import Modality
from v2drop_loading.schedules import Decoder
from v2drop_measuring.journal import FORMAT, SHA, Journal
from v2drop_measuring.versions import versions
from v2drop_terminal.errors import CommandError
from v2drop_terminal.needs import MissingLibraryError, require_statistics, require_zoo
from v2drop_terminal.progress import counting_progress
from v2drop_zoo import zoo_models

from .contenders import Contender, choose_contenders
from .given_answers import Differences, answers_of, as_rows, differences_of
from .harness import Harness, Subject
from .results import collect, outcome
from .tasks import FileTask, Task, ZooTask, read_lines, subject_title, zoo_media

RECORDS = 2  # the format of a journal's records: since the second they hold answers


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do; a resumed run must be asked the same.

    Attributes:
        models: pairs of a model's name and "image" or "video", or FILE where there is a task.
        task: a file of JSON lines; None: the zoo's own questions.
        schedule: of all methods, in place of budgets.
        against: a method that takes part, and that all others are tested against; None: random alone is that.
        random_seeds: with how many seeds random takes part, `seed` and those after it.
    """

    command: str
    models: Sequence[tuple[str, str]]
    methods: Sequence[str]
    budgets: Sequence[float]
    questions: int
    seed: int
    timed: int
    task: Path | None = None
    max_new_tokens: int = 16
    schedule: Schedule | None = None
    against: str | None = None
    random_seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """As plain data, with what else results depend on."""
        content = hashlib.sha256(self.task.read_bytes()).hexdigest() if self.task and self.task.is_file() else None
        settings = {name: value for name, value in asdict(self).items() if name != "against"}  # which may change later
        return {
            **settings,
            "schedule": self.schedule and self.schedule.to_dict(),
            "task": self.task and {"file": str(self.task), SHA: content},
            "versions": versions(),
            FORMAT: RECORDS,
        }


@dataclass(frozen=True)
class Comparison:
    """What came out of a run.

    Attributes:
        results: all figures as plain data, ready for JSON.
        answers: one row for each question, method and budget, as `given_answers.as_rows` makes them.
        differences: where methods differ from dense, model by model.
    """

    results: dict[str, Any]
    answers: Sequence[dict[str, Any]]
    differences: Sequence[Differences]


def run_comparison(
    settings: Settings,
    out: Path | None,
    quiet: bool = False,
    named: Collection[str | None] = (),
    pictures: bool = False,
) -> Comparison:
    """Run it, or the rest of it, and return what came out.

    Args:
        named: methods that must reach every budget; others that cannot have rows of dashes.
        pictures: whether differences are wanted.

    Raises:
        CommandError: no model can be loaded and has a task, or an `out` that holds another run's journal. What is wrong
            with one of several models is told in the results.
    """
    check_comparison(settings, named)
    checkpoints = [(find_checkpoint(name), modality) for name, modality in settings.models]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    journal = Journal(out, settings.to_dict())
    parts, failed = [], []
    answers: list[dict[str, Any]] = []
    differences: list[Differences] = []
    try:
        with counting_progress(Console(stderr=True), disable=quiet) as progress:
            harness = Harness(journal, settings.seed, settings.timed, progress)
            for checkpoint, modality in checkpoints:
                bar = progress.add_task(f"{subject_title(checkpoint.name, modality)}: starting", total=None)
                try:
                    subject = load_subject(checkpoint, modality, settings, device)
                    harness.run(subject, bar)
                except CommandError as error:
                    progress.remove_task(bar)
                    if len(checkpoints) == 1:
                        raise
                    failed.append({"model": checkpoint.name, "modality": modality, "reason": str(error)})
                    continue
                parts.append(outcome(subject, journal, settings.against))
                said = answers_of(subject, journal)
                answers += as_rows(subject, said, settings.seed)
                if pictures:
                    differences.append(differences_of(subject, said))
    finally:
        journal.close()
    if not parts:
        raise CommandError("; ".join(f"{each['model']}: {each['reason']}" for each in failed))
    results = {**collect(settings.command, settings.seed, parts, settings.against), "failed": failed}
    return Comparison(results, answers, differences)


def check_comparison(settings: Settings, named: Collection[str | None] = ()) -> None:
    """Refuse what can be told before a model is loaded or a question made.

    Raises:
        CommandError: a missing library, a task that holds no question, or a budget that a method of `named`, or every method,
            cannot reach.
        MethodError: an unknown method.
        ScheduleError: a schedule that does not fit a model.
    """
    require_statistics()
    if settings.task is not None:
        read_lines(settings.task)
    else:
        require_zoo({modality for _, modality in settings.models})
    for name, modality in settings.models:
        try:
            _check_subject(find_checkpoint(name), modality, settings, named)
        except MissingLibraryError:
            raise
        except CommandError:
            if len(settings.models) == 1:
                raise  # else it is told beside the results of the others


def _check_subject(checkpoint: Checkpoint, modality: str, settings: Settings, named: Collection[str | None]) -> None:
    find_adapter(checkpoint)
    if settings.task is None:
        _require_questions(checkpoint)
        zoo_media(load_config(checkpoint).model_type, modality)
    contenders = _contenders(checkpoint, settings, load_decoder(checkpoint))
    for contender in contenders:
        rivals = [other for other in contenders if other.budget == contender.budget]
        if contender.error and (contender.method in named or all(other.error for other in rivals)):
            raise ScheduleError(f"{contender.method} on {checkpoint.name}: {contender.error}")


def _require_questions(checkpoint: Checkpoint) -> None:
    known = checkpoint.name in zoo_models() or (Path(checkpoint.source) / RECOMMENDATION).exists()
    if not known:
        raise CommandError(f"{checkpoint.name} has no questions of its own: pass --task FILE.jsonl")


def _contenders(checkpoint: Checkpoint, settings: Settings, decoder: Decoder) -> list[Contender]:
    methods = [*settings.methods, *([settings.against] if settings.against else [])]
    return choose_contenders(
        methods, settings.budgets, decoder, checkpoint.schedule, settings.schedule, settings.random_seeds
    )


def load_subject(checkpoint: Checkpoint, modality: str, settings: Settings, device: str) -> Subject:
    """A model with its task and contenders."""
    adapter = find_adapter(checkpoint)
    if settings.task is None:
        _require_questions(checkpoint)
    model, processor = load_model(checkpoint, device)
    task: Task
    if settings.task is not None:
        task = FileTask(settings.task, settings.questions, adapter, processor, settings.max_new_tokens)
    else:
        task = ZooTask(model.config.model_type, modality, settings.questions, settings.seed, processor)
    contenders = _contenders(checkpoint, settings, Decoder.of(model, adapter))
    return Subject(checkpoint.name, modality, model, processor, task, contenders)


def subjects_of(models: Sequence[str] | None = None, modality: Modality | None = None) -> list[tuple[str, str]]:
    """Each model, or all of the zoo, with each sort of media that the zoo asks it about, or with the one that is named."""
    from v2drop_zoo.media import media_of

    if models and modality is not None:
        return [(model, modality.value) for model in models]
    pairs = []
    for model in models or zoo_models():
        model_type = load_config(find_checkpoint(model)).model_type
        known = [each.value for each in Modality if media_of(model_type, each.value)]
        pairs += [(model, each) for each in known or [Modality.IMAGE.value]]
    return [pair for pair in pairs if modality is None or pair[1] == modality.value]
