"""One measurement: prefill and decode steps of a prompt dense, with each method, and with its ideal, in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import v2drop
from v2drop import Method, Schedule, StageContext
from v2drop.hf.calls import cache_in
from v2drop_loading.methods import find_method
from v2drop_measuring.rounds import in_turns, spread, spread_of_ratios
from v2drop_measuring.timing import now

from .ideal import Ideal
from .prompt import Prompt

STEPS = 8  # decode steps that are timed after each prefill
STOCK = "stock"  # "dense" in results; the method named dense is an attached model that drops nothing


class Turn(NamedTuple):
    """Seconds of one prefill, of its scoring, and of a decode step on the resulting cache; bytes of that cache."""

    prefill: float
    scoring: float
    decode: float
    kv_bytes: int


class TimedScoring(Method):
    """Wraps a method, and adds up in `seconds` the time that its scoring takes."""

    name = "timed"

    def __init__(self, method: Method) -> None:
        self.seconds = 0.0
        self._method = method

    def score(self, context: StageContext) -> Tensor:
        """The wrapped method's scores, timed."""
        started = now()
        scores = self._method.score(context)
        self.seconds += now() - started
        return scores

    def choose(self, context: StageContext, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The wrapped method's choice."""
        return self._method.choose(context, scores)


@torch.inference_mode()
def measure(
    model: Any, prompt: Prompt, schedules: Mapping[str, Schedule], rounds: int, tick: Callable[[], None]
) -> list[dict[str, Any]]:
    """One row for each method: seconds, ratios taken within rounds, FLOPs and KV bytes.

    Args:
        model: stock, not attached.
        schedules: the schedule of each method.
        rounds: two or more; an extra one warms up.
        tick: called after each round.
    """
    ways: dict[str, Callable[[], Turn]] = {STOCK: partial(_dense, model, prompt)}
    for name, schedule in schedules.items():
        ways[name] = partial(_dropped, model, prompt, name, schedule)
        ways[_ideal(name)] = partial(_short, model, prompt, Ideal(model, prompt, schedule, find_method(name)))
    turns: list[dict[str, Turn]] = []
    for number in range(-1, rounds):
        turns.append(in_turns(ways, number))
        tick()
    return [_row(model, prompt, name, schedule, turns[1:]) for name, schedule in schedules.items()]


def _dense(model: Any, prompt: Prompt) -> Turn:
    started = now()
    cache = cache_in(prompt.dense(model))
    return _turn(model, prompt, cache, now() - started, 0.0)


def _dropped(model: Any, prompt: Prompt, name: str, schedule: Schedule) -> Turn:
    method = TimedScoring(find_method(name))
    with v2drop.attach(model, schedule, method=method) as run:
        started = now()
        cache = cache_in(prompt.attached(model, run))
        return _turn(model, prompt, cache, now() - started, method.seconds)


def _short(model: Any, prompt: Prompt, ideal: Ideal) -> Turn:
    """Time the ideal, and a stock model's decode steps on its cache."""
    started = now()
    cache = ideal()
    return _turn(model, prompt, cache, now() - started, 0.0)


def _turn(model: Any, prompt: Prompt, cache: Any, prefill: float, scoring: float) -> Turn:
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    started = now()
    for step in range(STEPS):
        prompt.step(model, cache, step)
    return Turn(prefill, scoring, (now() - started) / STEPS, held)


def _ideal(name: str) -> str:
    return f"ideal of {name}"


def _row(model: Any, prompt: Prompt, name: str, schedule: Schedule, rounds: list[dict[str, Turn]]) -> dict[str, Any]:
    dense, ours, ideal = ([turns[way] for turns in rounds] for way in (STOCK, name, _ideal(name)))
    with v2drop.attach(model, schedule, method=find_method(name)) as run:
        prompt.attached(model, run)
    assert run.report is not None
    return {
        "tokens": str(prompt.length),
        "vision_tokens": prompt.length.vision,
        "sequence": prompt.length.sequence,
        "batch": prompt.batch,
        "method": name,
        "schedule": schedule.to_dict(),
        "retained": run.report.retained,
        "flops": {**run.report.flops._asdict(), "speedup": 1 / run.report.flops.ratio},
        "kv_bytes": {
            "dense": dense[0].kv_bytes,
            "dropped": ours[0].kv_bytes,
            "predicted": run.report.kv_bytes.dropped,
        },
        "seconds": {
            "dense": _seconds(dense),
            "dropped": {**_seconds(ours), "scoring": spread([turn.scoring for turn in ours])},
            "ideal": _seconds(ideal),
        },
        "ratios": ratios(dense, ours, ideal),
    }


def ratios(dense: Sequence[Turn], ours: Sequence[Turn], ideal: Sequence[Turn]) -> dict[str, Any]:
    """A method's ratios, taken round by round: medians and quartiles.

    `speedup` and `ideal_speedup`: dense prefill over the method's and over its ideal's; `overhead`: the method's prefill
    over its ideal's; `scoring`: its share of the method's prefill; `decode` and `decode_overhead`: its decode step over
    the dense one's and over the ideal's.
    """
    prefill, decode = ([[getattr(turn, part) for turn in way] for way in (dense, ours, ideal)] for part in _PARTS)
    return {
        "speedup": spread_of_ratios(prefill[0], prefill[1]),
        "ideal_speedup": spread_of_ratios(prefill[0], prefill[2]),
        "overhead": spread_of_ratios(prefill[1], prefill[2]),
        "scoring": spread_of_ratios([turn.scoring for turn in ours], prefill[1]),
        "decode": spread_of_ratios(decode[1], decode[0]),
        "decode_overhead": spread_of_ratios(decode[1], decode[2]),
    }


_PARTS = ("prefill", "decode")


def _seconds(turns: Sequence[Turn]) -> dict[str, Any]:
    return {part: spread([getattr(turn, part) for turn in turns]) for part in _PARTS}
