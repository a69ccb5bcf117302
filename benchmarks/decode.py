"""Decode steps on shortened caches beside stock steps on caches of the same lengths: single, padded, compiled."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from prefill import RAGGED
from timed_model import LENGTH, SCHEDULE, Prompt, build_model
from transformers import StaticCache

import v2drop
from v2drop.hf.calls import cache_argument, cache_in
from v2drop.runtime.cache_record import CacheRecord
from v2drop_measuring.rounds import in_turns, seconds

STEPS = 8
MORE_STEPS = 32  # for one sample, whose steps are short


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a model, its cache, and the number of that cache's positions in a 2D mask."""

    model: Any
    cache: Any
    length: int


def single(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds per step at batch 1; the stock model runs on the same shortened layers, for which it needs no mask."""
    prompt, attached = Prompt(), _twin(model)
    shortened = _shortened(model, prompt)
    sides = {
        "stock decode": Side(model, _forgotten(shortened), LENGTH),
        "decode": Side(attached, shortened, LENGTH),
    }
    with v2drop.attach(attached, SCHEDULE):
        return _rounds(prompt, sides, rounds, MORE_STEPS)


def padded(model: Any, rounds: Iterable[int]) -> list[dict[str, float]]:
    """Seconds per step with 8 padded samples; the stock model runs on the same shortened layers, with a mask for each.

    The stock model also runs on a uniform cache of the same average length. It holds as many bytes, but is a little
    faster: the long layers of an uneven cache do not fit into the processor's caches.
    """
    prompt, attached, stock = Prompt(*RAGGED), _twin(model), _twin(model)
    shortened, length = _shortened(model, prompt), prompt.attention_mask.shape[1]
    even = _of_mean_length(shortened)
    sides = {
        "batch 8 stock decode": Side(stock, _forgotten(shortened), length),
        "batch 8 even stock decode": Side(model, even, even.get_seq_length()),
        "batch 8 decode": Side(attached, shortened, length),
    }
    _hand_masks(stock, shortened)
    with v2drop.attach(attached, SCHEDULE):
        return _rounds(prompt, sides, rounds, STEPS)


def _rounds(prompt: Prompt, sides: dict[str, Side], rounds: Iterable[int], count: int) -> list[dict[str, float]]:
    def timed(side: Side, cache: Any, step: int) -> float:
        filled = cache_argument(side.model, cache)
        return seconds(lambda: _step(side.model, prompt, filled, side.length, step))

    found = []
    for number in (-1, *rounds):  # the first one warms up
        # interleaved too: a cache's place in memory makes steps of the same model up to 5 % slower
        caches = in_turns({name: partial(copy.deepcopy, side.cache) for name, side in sides.items()}, number)
        steps = [
            in_turns({name: partial(timed, side, caches[name], step) for name, side in sides.items()}, number + step)
            for step in range(count)
        ]
        found.append({name: sum(step[name] for step in steps) / count for name in sides})
    return found[1:]


def _twin(model: Any) -> Any:
    """A copy of the model that shares its weights and can be attached to while the original stays stock."""
    return copy.deepcopy(model, {id(weight): weight for weight in model.parameters()})


def _shortened(model: Any, prompt: Prompt) -> Any:
    """The cache after a prefill with V2Drop."""
    with v2drop.attach(model, SCHEDULE) as run:
        return cache_in(prompt.attached(model, run))


def _forgotten(shortened: Any) -> Any:
    """A copy without v2drop's record: only keys and values."""
    bare = copy.deepcopy(shortened)
    CacheRecord.forget(bare)
    return bare


def _hand_masks(model: Any, cache: Any) -> None:
    """Make a stock model's layers use precomputed masks of their own lengths, for steps on copies of a cache."""

    def hand(number: int, layer: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        held = cache_in(kwargs).layers[number].keys.shape[2]
        return args, {**kwargs, "attention_mask": masks[held + 1]}

    lengths = {layer.keys.shape[2] + 1 + step for layer in cache.layers for step in range(STEPS)}
    masks = {length: torch.ones(len(cache.layers[0].keys), 1, 1, length, dtype=torch.bool) for length in lengths}
    for number, layer in enumerate(model.model.language_model.layers):
        layer.register_forward_pre_hook(partial(hand, number), with_kwargs=True)


def _step(model: Any, prompt: Prompt, filled: dict[str, Any], length: int, step: int) -> Any:
    mask = torch.cat(
        [prompt.attention_mask[:, -length:], torch.ones(len(prompt.embeds), step + 1, dtype=torch.long)], 1
    )
    positions = torch.full((len(prompt.embeds), 1), prompt.embeds.shape[1] + step)
    token = torch.full((len(prompt.embeds), 1), 7)
    return model(input_ids=token, attention_mask=mask, position_ids=positions, **filled)


def _of_mean_length(cache: Any) -> Any:
    """A cache whose layers all have the average length of this one's layers."""
    even = _forgotten(cache)
    mean = round(sum(layer.keys.shape[2] for layer in cache.layers) / len(cache.layers))
    for layer in even.layers:
        layer.keys, layer.values = (
            torch.randn(*part.shape[:2], mean, part.shape[3]) for part in (layer.keys, layer.values)
        )
    return even


def compiled(rounds: Iterable[int], layers: int = 8) -> list[dict[str, float]]:
    """Seconds per compiled step over a static cache, for a model with fewer layers because compiling takes long."""
    model, prompt = build_model(layers), Prompt()
    schedule = v2drop.Schedule([(1, 0.5), (4, 0.3), (6, 0.0)])
    stock, ours = "compiled stock decode", "compiled decode"
    caches = {name: StaticCache(config=model.config.text_config, max_cache_len=LENGTH + 64) for name in (stock, ours)}
    filled = {name: cache_argument(model, cache) for name, cache in caches.items()}
    prompt.dense(model, **filled[stock])
    with v2drop.attach(model, schedule) as run:
        prompt.attached(model, run, **filled[ours])
    steps = {name: torch.compile(model.__call__, dynamic=False) for name in (stock, ours)}
    token, mask = torch.tensor([[7]]), torch.ones(1, 1, 1, LENGTH + 64, dtype=torch.bool)
    mask[..., LENGTH + 1 :] = False

    def step(name: str) -> float:
        return seconds(lambda: steps[name](input_ids=token, attention_mask=mask, **filled[name]))

    def our_step() -> float:
        with v2drop.attach(model, schedule):
            return sum(step(ours) for _ in range(STEPS)) / STEPS

    def stock_step() -> float:
        return sum(step(stock) for _ in range(STEPS)) / STEPS

    found = []
    for number in (-2, -1, *rounds):  # the first ones compile
        for cache in caches.values():
            for layer in cache.layers:
                layer.cumulative_length.fill_(32)  # positions and values of writes do not affect the time
        found.append(in_turns({stock: stock_step, ours: our_step}, number))
    return found[2:]
