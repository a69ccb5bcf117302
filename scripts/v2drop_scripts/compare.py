"""Asking a model the same question dense and with dropping, by turns, and timing both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch

import v2drop

from .errors import CommandError
from .timing import LanguageModelTimer

ROUNDS = 3  # timed, dense and dropped by turns, after one untimed round


class Answer(NamedTuple):
    """One run's answer and durations; decode is None where the answer was a single token."""

    text: str
    prefill_seconds: float
    decode_tokens_per_second: float | None


@dataclass(frozen=True)
class Comparison:
    """Both answers, and what was dropped."""

    dense: Answer
    dropped: Answer
    report: v2drop.DropReport


def compare(
    network: Any,
    processor: Any,
    inputs: Mapping[str, Any],
    schedule: v2drop.Schedule,
    method: str,
    max_new_tokens: int,
) -> Comparison:
    """Answer with and without dropping. Raises CommandError where there was nothing to drop."""
    dense: list[Answer] = []
    dropped: list[Answer] = []
    for _ in range(1 + ROUNDS):
        with LanguageModelTimer(network) as timer:
            dense.append(_answer(network, processor, inputs, max_new_tokens, timer))
        with v2drop.attach(network, schedule, method=method) as attached, LanguageModelTimer(network) as timer:
            dropped.append(_answer(network, processor, inputs, max_new_tokens, timer))
    if attached.report is None:
        raise CommandError(
            "the prompt held no vision token: does the model's chat template place the picture or video?"
        )
    return Comparison(_median(dense[1:]), _median(dropped[1:]), attached.report)


def _answer(
    network: Any, processor: Any, inputs: Mapping[str, Any], max_new_tokens: int, timer: LanguageModelTimer
) -> Answer:
    with torch.inference_mode():
        tokens = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    prefill, *decode = timer.seconds
    return Answer(
        processor.tokenizer.decode(new, skip_special_tokens=True).strip(),
        prefill,
        len(decode) / sum(decode) if decode else None,
    )


def _median(answers: list[Answer]) -> Answer:
    speeds = [answer.decode_tokens_per_second for answer in answers if answer.decode_tokens_per_second is not None]
    return Answer(
        answers[0].text, median(answer.prefill_seconds for answer in answers), median(speeds) if speeds else None
    )
