"""What must be known of a KV cache between forward calls: which positions the shortened layers still hold.

It is stored on the cache object itself, so that a deep copy of the cache carries it along and nothing stays on the
model. Positions count from the cache's start, as layer 0, which is never shortened, holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor

from .caches import static_length
from .errors import CacheError
from .rows import Rows

_ATTRIBUTE = "_v2drop_memory"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Memory:
    """Positions held by the layers from each stage on, for the first `length` positions of a cache.

    Later positions (decode steps, text turns) are held by every layer, so a chunk that drops nothing writes nothing.

    Attributes:
        length: how many positions are described.
        held: by the first layer that it is true of, the positions that layers hold; earlier layers hold all.
        vision_end: the position after the last vision token, the shortest that the cache may be cropped to.
        columns: of a cache that was allocated once, by the first layer that it is true of, the positions that the columns
            of layers stand for that can ever be filled. It stays the same however far the cache is filled.
    """

    length: int = 0
    held: Mapping[int, Rows] = field(default_factory=dict)
    vision_end: int = 0
    columns: Mapping[int, Rows] = field(default_factory=dict)

    @classmethod
    def of(cls, cache: Any) -> Memory:
        """What is remembered about this cache (or None); an empty memory if nothing was ever dropped from it."""
        return getattr(cache, _ATTRIBUTE, None) or cls()

    @staticmethod
    def forget(cache: Any) -> None:
        """Remember nothing about this cache any more: it was emptied."""
        if hasattr(cache, _ATTRIBUTE):
            delattr(cache, _ATTRIBUTE)
            vars(cache).pop("reorder_cache", None)

    def store(self, cache: Any) -> None:
        """Remember this on the cache, also when its samples are reordered, as beam search does."""
        setattr(cache, _ATTRIBUTE, self)
        if "reorder_cache" not in vars(cache):
            cache.reorder_cache = MethodType(_reorder_cache, cache)

    def reordered(self, samples: Tensor) -> Memory:
        """This memory of a cache whose samples are those of the numbers `samples`, int64 [B]."""
        held, columns = (
            {layer: rows.of_samples(samples) for layer, rows in by_layer.items()}
            for by_layer in (self.held, self.columns)
        )
        return replace(self, held=held, columns=columns)

    def follow(self, cache: Any, past: int, batch: int) -> Memory:
        """This memory now that the cache holds `past` positions: cropped, or none if the cache was emptied.

        Shortened layers are made to follow a crop.
        transformers 5.0 crops to absolute lengths, which layers shorter than that do not notice; later releases take
        away a number of tokens, and layers are as long as they should be.

        Raises:
            CacheError: a cache of `past` positions and `batch` samples is not the one described.
        """
        if not self.held:
            return self
        shortest, static = max(self.held), static_length(cache) is not None
        holds = int(cache.layers[shortest].get_seq_length()) if past else 0
        # as much as layer 0 holds: a model that nothing was attached to filled it (or in a growing cache, layers were cut)
        anew = static and holds == past and self.missing(shortest)
        if not past or anew:
            self.forget(cache)
            return Memory()
        self._check(past, batch)
        memory = self if past >= self.length else self._cropped(past)
        if memory is not self:
            memory.store(cache)
        # layers of a static cache count for themselves what they hold
        if not static and holds != past - memory.missing(shortest):
            first = min(memory.held)
            for number, layer in enumerate(cache.layers[first:], start=first):
                length = past - memory.missing(number)
                layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]
        return memory

    def _cropped(self, past: int) -> Memory:
        """This memory without the positions from `past` on, which every layer's last columns were, or fillers.

        Raises:
            CacheError: some of those columns held something else, for padding on the right was dropped.
        """
        held = {}
        for layer, rows in self.held.items():
            columns = rows.index.shape[1] - (self.length - past)
            before = rows.index < past
            lost = before if rows.valid is None else before & rows.valid
            if lost[:, max(columns, 0) :].any():
                raise CacheError(
                    f"the cache was cropped to {past} of {self.length} positions, whose padding on the right was dropped "
                    "along with vision tokens: it can be cropped where samples are padded on the left; start with a new cache"
                )
            valid = None if rows.valid is None else (rows.valid & before)[:, :columns]
            held[layer] = Rows(rows.index[:, :columns].clamp(max=past - 1), valid)
        return Memory(past, held, self.vision_end)

    def _check(self, past: int, batch: int) -> None:
        if past < self.vision_end:
            raise CacheError(
                f"the cache holds {past} positions but vision tokens were dropped among its first {self.vision_end}: "
                "a cache can be cropped back to behind the last picture, not into it; start with a new cache"
            )
        filled = next(iter(self.held.values())).index.shape[0]
        if filled != batch:
            raise CacheError(
                f"the cache was filled by a batch of {filled} and this call has {batch} samples: samples cannot be "
                "added to or taken from a cache that vision tokens were dropped from; start with a new cache"
            )

    def missing(self, layer: int) -> int:
        """How many fewer keys than positions a layer holds; fillers are counted as keys."""
        held = latest(self.held, layer)
        return 0 if held is None else self.length - held.index.shape[1]

    def keys(self, layer: int, past: int | None, chunk: int, rows: Rows | None) -> Rows | None:
        """Positions that a layer holds after a chunk of `chunk` columns, shortened to `rows`; None: all of them.

        Where `past` is not known, in a compiled step over a static cache, these are all that the layer will ever hold.
        """
        if past is None:
            return latest(self.columns, layer)
        before = latest(self.held, layer)
        if before is None and rows is None:
            return None
        like = before.index if before is not None else rows.index  # type: ignore[union-attr]
        parts = [Rows.every(0, past, like)] if before is None else [before, Rows.every(self.length, past, like)]
        parts.append(Rows.every(past, past + chunk, like) if rows is None else Rows(rows.index + past, rows.valid))
        return _join([part for part in parts if part.index.shape[1]])

    def extended(
        self, past: int, chunk: int, kept: Mapping[int, Rows | None], vision_end: int, columns: int | None = None
    ) -> Memory:
        """This memory after a chunk of `chunk` columns behind `past` positions, shortened at each stage as in `kept`.

        `vision_end` is the column after the chunk's last vision token, `columns` those of a static cache.
        """
        length = past + chunk
        keys = {layer: self.keys(layer, past, chunk, latest(kept, layer)) for layer in sorted({*self.held, *kept})}
        held = {layer: rows for layer, rows in keys.items() if rows is not None}
        to_come = {} if columns is None else {layer: _with_room(rows, length, columns) for layer, rows in held.items()}
        return Memory(length, held, past + vision_end, to_come)


def _reorder_cache(cache: Any, beam_idx: Tensor) -> None:
    """`Cache.reorder_cache` of a cache that something is remembered of; beams may come from samples with other pictures."""
    Memory.of(cache).reordered(beam_idx).store(cache)
    type(cache).reorder_cache(cache, beam_idx)


def latest(by_layer: Mapping[int, Value], layer: int) -> Value | None:
    """The entry of the last layer up to `layer`; None if there is none."""
    layers = [key for key in by_layer if key <= layer]
    return by_layer[max(layers)] if layers else None


def _join(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    device = parts[-1].index.device
    index = torch.cat([part.index.to(device) for part in parts], dim=1)
    if all(part.valid is None for part in parts):
        return Rows(index, None)
    valid = [torch.ones_like(part.index, dtype=torch.bool) if part.valid is None else part.valid for part in parts]
    return Rows(index, torch.cat([part.to(device) for part in valid], dim=1))


def _with_room(rows: Rows, length: int, columns: int) -> Rows:
    """Positions that a static cache's layer holds, and behind them those that will follow the first `length`.

    Their number is rounded up to an eighth of the cache's columns, for whatever has it is compiled anew when it changes.
    """
    eighth = -(-columns // 8)
    most = rows.index.shape[1] + columns - length
    rounded = min(columns, -(-most // eighth) * eighth)
    later = Rows.every(length, length + rounded - rows.index.shape[1], rows.index)
    return _join([rows, Rows(later.index.clamp(max=columns - 1), later.index < columns)])
