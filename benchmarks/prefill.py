"""Prefills: dense, attached without dropping, with V2Drop, and the ideal; at batch 1 and in a ragged batch of 8."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from timed_model import EVERYTHING, LENGTH, SCHEDULE, VISION, Prompt

import v2drop
from v2drop.hf.calls import cache_in
from v2drop.methods import make_method
from v2drop_bench.ideal import Ideal
from v2drop_bench.measure import TimedScoring
from v2drop_measuring.rounds import in_turns, seconds

RAGGED = ((35, 10, 80, 35, 5, 60, 20, 35), (576, 576, 288, 576, 576, 144, 432, 576))  # text and vision tokens


def single(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds of each kind of prefill at batch 1, and of V2Drop's scoring, per round."""
    prompt, method = Prompt(), TimedScoring(make_method("v2drop"))
    ideal = Ideal(model, prompt, SCHEDULE)
    ways = {
        "dense": lambda: seconds(lambda: prompt.dense(model)),
        "keep=1.0": lambda: attached(model, prompt, EVERYTHING),
        "ideal": lambda: seconds(ideal),
        "prefill": lambda: attached(model, prompt, SCHEDULE, method),
    }
    in_turns(ways, 0)  # warm up
    found = []
    for number in rounds:
        method.seconds = 0.0
        found.append({**in_turns(ways, number), "scoring": method.seconds})
    return found


def ragged(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds of V2Drop and the ideal on 8 samples of different lengths, per round."""
    prompt = Prompt(*RAGGED)
    ideal = Ideal(model, prompt, SCHEDULE)
    ways = {
        "batch 8 ideal": lambda: seconds(ideal),
        "batch 8 prefill": lambda: attached(model, prompt, SCHEDULE),
    }
    in_turns(ways, 0)
    return [in_turns(ways, number) for number in rounds]


def attached(model: Any, prompt: Prompt, schedule: v2drop.Schedule, method: str | v2drop.Method = "v2drop") -> float:
    """Seconds of a prefill; attaching is not timed."""
    with v2drop.attach(model, schedule, method=method) as run:
        return seconds(lambda: prompt.attached(model, run))


def kv_bytes(model: Any) -> dict[str, int]:
    """KV-cache bytes after the prefill: measured, predicted by the schedule, and dense."""
    prompt = Prompt()
    with v2drop.attach(model, SCHEDULE) as run:
        cache = cache_in(prompt.attached(model, run))
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    rows = [LENGTH - VISION + alive for alive in SCHEDULE.tokens_per_layer(32, VISION)]
    return {"measured": held, "predicted": sum(rows) * 2 * 512 * 4, "dense": 32 * LENGTH * 2 * 512 * 4}
