"""Asks a model the same question dense and with dropping, and times both in turn."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch

import v2drop
from v2drop_loading.generation import generate_answers, refusals_told
from v2drop_loading.methods import find_method
from v2drop_terminal.errors import CommandError

from .rounds import in_turns, spread, spread_of_ratios
from .timing import LanguageModelTimer, now, suitable_threads

STEPS = 8  # timed decode steps, whatever the length of the answer
ROUNDS = (3, 15)  # minimum and maximum
SECONDS = 3.0  # about how long all rounds may take, if more than the minimum


class Turn(NamedTuple):
    """Seconds of one prefill, and of one decode step (the median of `STEPS`)."""

    prefill: float
    decode: float


@dataclass(frozen=True)
class Times:
    """Times of each round; a round times both dense and dropped."""

    dense: list[Turn]
    dropped: list[Turn]
    threads: int

    def of(self, part: str) -> dict[str, dict[str, Any]]:
        """Medians and quartiles of "prefill" or "decode": seconds of both, and the ratio of dropped to dense."""
        dense, dropped = ([getattr(turn, part) for turn in way] for way in (self.dense, self.dropped))
        return {"dense": spread(dense), "dropped": spread(dropped), "ratio": spread_of_ratios(dropped, dense)}


@dataclass(frozen=True)
class Comparison:
    """Both answers, what was dropped, and the times of both."""

    dense: str
    dropped: str
    report: v2drop.DropReport
    times: Times


def compare(
    network: Any,
    processor: Any,
    inputs: Mapping[str, Any],
    schedule: v2drop.Schedule,
    method: str,
    max_new_tokens: int,
) -> Comparison:
    """Answer with and without dropping. Raises CommandError if there was nothing to drop."""
    with suitable_threads(network) as threads:
        dropped = partial(v2drop.attach, network, schedule, method=find_method(method))
        [answer] = generate_answers(network, processor, inputs, max_new_tokens)
        with dropped() as attached:
            [shorter] = generate_answers(network, processor, inputs, max_new_tokens)
        if attached.report is None:
            raise CommandError(
                "the prompt had no vision tokens: does the model's chat template include the picture or video?"
            )
        ways = {
            "dense": partial(_time, network, inputs, nullcontext),
            "dropped": partial(_time, network, inputs, dropped),
        }
        started = now()
        in_turns(ways, 0)  # warm-up, untimed
        count = min(ROUNDS[1], max(ROUNDS[0], int(SECONDS / (now() - started))))
        rounds = [in_turns(ways, number) for number in range(count)]
    times = Times([turns["dense"] for turns in rounds], [turns["dropped"] for turns in rounds], threads)
    return Comparison(answer.strip(), shorter.strip(), attached.report, times)


def _time(network: Any, inputs: Mapping[str, Any], attach: Any) -> Turn:
    tokens = STEPS + 1
    with attach(), LanguageModelTimer(network) as timer, torch.inference_mode(), refusals_told():
        network.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
    prefill, *decode = timer.seconds
    return Turn(prefill, median(decode))
