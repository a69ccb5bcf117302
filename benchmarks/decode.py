"""Decode steps on shortened caches beside the stock model's on caches of the same lengths: single, padded, compiled."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from prefill import RAGGED
from timed_model import LENGTH, SCHEDULE, Prompt, build_model
from transformers import StaticCache

import v2drop
from v2drop_scripts.bench_rounds import in_turns, seconds

STEPS = 8


def single(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds a step at batch 1; the stock model runs on the same short layers, for which it needs no mask."""
    return _rounds(model, Prompt(), rounds, "stock decode", "decode")


def padded(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds a step with 8 padded samples; the stock model's layers are all as long as ours are on average."""
    return _rounds(model, Prompt(*RAGGED), rounds, "batch 8 stock decode", "batch 8 decode")


def _rounds(model: Any, prompt: Prompt, rounds: Iterable[int], stock: str, ours: str) -> list[dict[str, float]]:
    with v2drop.attach(model, SCHEDULE) as run:
        shortened = prompt.attached(model, run).past_key_values
    samples, length = prompt.attention_mask.shape
    even = shortened if samples == 1 else _of_mean_length(shortened)
    stock_length = length if samples == 1 else even.get_seq_length()

    def stock_step(cache: Any, step: int) -> float:
        return seconds(lambda: _step(model, prompt, cache, stock_length, step))

    def our_step(cache: Any, step: int) -> float:
        with v2drop.attach(model, SCHEDULE):
            return seconds(lambda: _step(model, prompt, cache, length, step))

    found = []
    for number in (-1, *rounds):  # the first one warms up
        caches = copy.deepcopy(even), copy.deepcopy(shortened)
        steps = [
            in_turns({stock: partial(stock_step, caches[0], step), ours: partial(our_step, caches[1], step)}, number)
            for step in range(STEPS)
        ]
        found.append({name: sum(step[name] for step in steps) / STEPS for name in (stock, ours)})
    return found[1:]


def _step(model: Any, prompt: Prompt, cache: Any, length: int, step: int) -> Any:
    mask = torch.cat(
        [prompt.attention_mask[:, -length:], torch.ones(len(prompt.embeds), step + 1, dtype=torch.long)], 1
    )
    positions = torch.full((len(prompt.embeds), 1), prompt.embeds.shape[1] + step)
    token = torch.full((len(prompt.embeds), 1), 7)
    return model(input_ids=token, attention_mask=mask, position_ids=positions, past_key_values=cache)


def _of_mean_length(cache: Any) -> Any:
    """A cache whose layers are all as long as this one's are on average."""
    even = copy.deepcopy(cache)
    del even._v2drop_memory
    mean = round(sum(layer.keys.shape[2] for layer in cache.layers) / len(cache.layers))
    for layer in even.layers:
        layer.keys, layer.values = (
            torch.randn(*part.shape[:2], mean, part.shape[3]) for part in (layer.keys, layer.values)
        )
    return even


def compiled(rounds: Iterable[int], layers: int = 8) -> list[dict[str, float]]:
    """Seconds a compiled step over a static cache, of a model with fewer layers, as compiling takes its time."""
    model, prompt = build_model(layers), Prompt()
    schedule = v2drop.Schedule([(1, 0.5), (4, 0.3), (6, 0.0)])
    stock, ours = "compiled stock decode", "compiled decode"
    caches = {}
    for name in (stock, ours):
        caches[name] = StaticCache(config=model.config.text_config, max_cache_len=LENGTH + 64)
    prompt.dense(model, past_key_values=caches[stock])
    with v2drop.attach(model, schedule) as run:
        prompt.attached(model, run, past_key_values=caches[ours])
    steps = {name: torch.compile(model.__call__, dynamic=False) for name in (stock, ours)}
    token, mask = torch.tensor([[7]]), torch.ones(1, 1, 1, LENGTH + 64, dtype=torch.bool)
    mask[..., LENGTH + 1 :] = False

    def step(name: str) -> float:
        return seconds(lambda: steps[name](input_ids=token, attention_mask=mask, past_key_values=caches[name]))

    def our_step() -> float:
        with v2drop.attach(model, schedule):
            return sum(step(ours) for _ in range(STEPS)) / STEPS

    def stock_step() -> float:
        return sum(step(stock) for _ in range(STEPS)) / STEPS

    found = []
    for number in (-2, -1, *rounds):  # the first ones compile
        for cache in caches.values():
            for layer in cache.layers:
                layer.cumulative_length.fill_(32)  # what is written where makes no difference to the time
        found.append(in_turns({stock: stock_step, ours: our_step}, number))
    return found[2:]
