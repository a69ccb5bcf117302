"""Runs one comparison from its settings to its results: model by model, each with all its contenders."""

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

RECORDS = 2  # the format of a journal's records; since format 2 they hold answers


@dataclass(frozen=True)
class Settings:
    """The settings of a run; a resumed run must have the same ones.

    Attributes:
        models: pairs of a model's name and "image" or "video", or FILE with a task.
        task: a file of JSON lines; None: the zoo's own questions.
        schedule: one schedule for all methods, in place of budgets.
        against: a method that takes part and that all others are also tested against; None: only random is.
        random_seeds: the number of seeds for random, `seed` and the ones after it.
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
        """As plain data, with everything else that results depend on."""
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
    """The outcome of a run.

    Attributes:
        results: all metrics as plain data, ready for JSON.
        answers: one row for each question, method and budget, as `given_answers.as_rows` makes them.
        differences: the questions on which methods differ from dense, by model.
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
    """Run a comparison, or the rest of it, and return its outcome.

    Args:
        named: methods that must reach every budget; others may get rows of dashes.
        pictures: whether to collect differences.

    Raises:
        CommandError: no model can be loaded with a task, or `out` holds another run's journal. Errors of one of several
            models are reported in the results.
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
    """Check the settings before a model is loaded or a question made.

    Raises:
        CommandError: a missing library, or a task without questions.
        MethodError: an unknown method.
        ScheduleError: a schedule that does not fit a model, or a budget that one of `named`, or every method, cannot
            reach.
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
                raise  # otherwise reported with the results of the others


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
    """Load a model with its task and contenders."""
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
    """Each model (by default all of the zoo) with each modality that the zoo asks it about, or with the given one."""
    from v2drop_zoo.media import media_of

    if models and modality is not None:
        return [(model, modality.value) for model in models]
    pairs = []
    for model in models or zoo_models():
        model_type = load_config(find_checkpoint(model)).model_type
        known = [each.value for each in Modality if media_of(model_type, each.value)]
        pairs += [(model, each) for each in known or [Modality.IMAGE.value]]
    return [pair for pair in pairs if modality is None or pair[1] == modality.value]
