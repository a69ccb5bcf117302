"""An attached model that answers rows in batches; rows that fail are reported and do not affect other rows."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from v2drop_loading.checkpoints import find_adapter, find_checkpoint, load_decoder, load_model
from v2drop_loading.generation import answer_lengths, generate_tokens
from v2drop_loading.media import Media, model_inputs, read_media
from v2drop_loading.methods import attach_method
from v2drop_loading.question import Question
from v2drop_loading.schedules import Decoder, Keep, choose_schedule

from .blocks import Row
from .length_batches import cut_batches
from .questions import question_of


@dataclass(frozen=True)
class Settings:
    """Everything that affects an answer. A resumed run must have the same settings."""

    model: str
    method: str
    keep: Keep
    seed: int
    max_new_tokens: int


def check_settings(settings: Settings) -> None:
    """Check the settings before any actor is started. Raises the errors of `find_adapter` and `choose_schedule`."""
    checkpoint = find_checkpoint(settings.model)
    find_adapter(checkpoint)
    choose_schedule(settings.method, load_decoder(checkpoint), settings.keep, checkpoint.schedule)


@dataclass(frozen=True)
class Answer:
    """A row's answer and its cost.

    Attributes:
        tokens_kept: mean number of vision tokens kept per layer, the budget that papers quote.
        prompt_tokens: tokens of the language model's prompt, including vision tokens.
        seconds: the row's share of its batch's time, from reading the files to the last token.
        note: which pictures were shown only in part, such as the first frame of an animation; "" if none.
    """

    id: str
    file: str
    line: int
    question: str
    answer: str
    vision_tokens: int
    tokens_kept: float
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Rejected:
    """A row that was not answered, and why."""

    id: str
    file: str
    line: int
    reason: str


Outcome = dict[int, Answer | Rejected]  # by the row's number
Shown = tuple[Row, Question, Media]


class Answerer:
    """A loaded model that answers rows while vision tokens are dropped.

    Args:
        batch: maximum number of rows in a batch.

    Attributes:
        schedule: the schedule of its method.
    """

    def __init__(self, settings: Settings, batch: int) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        checkpoint = find_checkpoint(settings.model)
        self._settings, self._batch = settings, batch
        self._adapter = find_adapter(checkpoint)
        self._model, self._processor = load_model(checkpoint, device)
        decoder, method = Decoder.of(self._model, self._adapter), settings.method
        self.schedule = choose_schedule(method, decoder, settings.keep, checkpoint.schedule)

    def answer(self, rows: Sequence[Row]) -> list[Answer | Rejected]:
        """An answer or a rejection for each row, in the order of the rows."""
        outcome: Outcome = {}
        asked = []
        with tempfile.TemporaryDirectory() as scratch:
            for row in rows:
                try:
                    asked.append((row, question_of(row, Path(scratch))))
                except ValueError as error:
                    outcome[row.number] = _rejected(row, error)
            for batch in cut_batches(asked, self._processor, self._batch):
                outcome |= self._answer_batch(batch)
        return [outcome[row.number] for row in rows]

    def _answer_batch(self, batch: Sequence[tuple[Row, Question]]) -> Outcome:
        start = time.perf_counter()
        outcome: Outcome = {}
        shown = []
        for row, question in batch:
            try:
                shown.append((row, question, read_media(question, self._adapter, self._processor)))
            except Exception as error:  # decoders may raise anything
                outcome[row.number] = _rejected(row, error)
        reading = (time.perf_counter() - start) / len(batch)
        return outcome | self._answer_shown(shown, reading) if shown else outcome

    def _answer_shown(self, shown: Sequence[Shown], reading: float) -> Outcome:
        """Answers of a batch. After a failure, its halves are tried if memory ran out, else each row alone."""
        try:
            return self._generate(shown, reading)
        except Exception as error:
            if _device_is_lost(error):
                raise
            lacking = _is_lack_of_memory(error)
            if len(shown) == 1:
                return {shown[0][0].number: _rejected(shown[0][0], error)}
        if lacking:  # outside of the except block: the error holds the frames, which hold the tensors
            gc.collect()
            torch.cuda.empty_cache()
        size = len(shown) // 2 if lacking else 1
        outcome: Outcome = {}
        for start in range(0, len(shown), size):
            outcome |= self._answer_shown(shown[start : start + size], reading)
        return outcome

    def _generate(self, shown: Sequence[Shown], reading: float) -> Outcome:
        start = time.perf_counter()
        rows, questions, media = zip(*shown, strict=True)
        inputs = model_inputs(self._processor, media, [question.prompt for question in questions])
        inputs = inputs.to(self._model.device)
        numbers, settings = [row.number for row in rows], self._settings
        with attach_method(self._model, self.schedule, settings.method, settings.seed, numbers) as run:
            tokens = generate_tokens(self._model, inputs, self._settings.max_new_tokens)
        texts = self._processor.batch_decode(tokens, skip_special_tokens=True)
        vision = [0] * len(rows) if run.report is None else run.report.vision_tokens
        kept = [0.0] * len(rows) if run.report is None else run.report.tokens_kept
        prompts = inputs["attention_mask"].sum(1).tolist()
        lengths = answer_lengths(tokens, self._model)
        seconds = reading + (time.perf_counter() - start) / len(rows)
        return {
            row.number: Answer(
                row.id, row.file, row.line, questions[i].prompt, texts[i].strip(),
                vision[i], kept[i], prompts[i], lengths[i], seconds, "; ".join(media[i].notes),
            )
            for i, row in enumerate(rows)
        }  # fmt: skip


def _rejected(row: Row, error: Exception) -> Rejected:
    text = str(error).strip() or type(error).__name__
    return Rejected(row.id, row.file, row.line, text.encode(errors="backslashreplace").decode())


def _is_lack_of_memory(error: Exception) -> bool:
    """Whether memory ran out: the GPU's, or this process's, for which torch has no error class."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def _device_is_lost(error: Exception) -> bool:
    """Whether the GPU refuses all further work, so that the row is not at fault."""
    lost = getattr(torch, "AcceleratorError", None)  # torch 2.8
    return lost is not None and isinstance(error, lost) and not isinstance(error, torch.OutOfMemoryError)
