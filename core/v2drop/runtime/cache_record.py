"""What v2drop remembers about a KV cache between calls: which positions the shortened layers still hold.

The record is stored on the cache object itself, so a deep copy of the cache includes it and nothing stays on the
model. Positions count from the start of the cache, as in layer 0, which is never shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from ..errors import CacheError
from ..hf.caches import static_length
from ..kept_tokens import KeptTokens, latest

_ATTRIBUTE = "_v2drop_cache_record"


@dataclass(frozen=True)
class CacheRecord:
    """Positions held by the layers from each stage on, for the first `length` positions of a cache.

    Later positions (decode steps, text turns) are held by every layer, so a forward pass that drops nothing writes nothing.

    Attributes:
        length: how many positions the record describes.
        held: positions that layers hold, keyed by the first of these layers; layers before the first key hold all.
        vision_end: the position after the last vision token, the shortest length that the cache may be cropped to.
        columns: static caches only, keyed like `held`: the position of each cache slot that can ever be filled. It does
            not change as the cache fills.
    """

    length: int = 0
    held: Mapping[int, KeptTokens] = field(default_factory=dict)
    vision_end: int = 0
    columns: Mapping[int, KeptTokens] = field(default_factory=dict)

    @classmethod
    def of(cls, cache: Any) -> CacheRecord:
        """The record of a cache (or None); an empty one if nothing was ever dropped from it."""
        return getattr(cache, _ATTRIBUTE, None) or cls()

    @staticmethod
    def forget(cache: Any) -> None:
        """Remove the record of a cache that was emptied."""
        if hasattr(cache, _ATTRIBUTE):
            delattr(cache, _ATTRIBUTE)
            vars(cache).pop("reorder_cache", None)

    def store(self, cache: Any) -> None:
        """Store this record on the cache, and update it when beam search reorders the samples."""
        setattr(cache, _ATTRIBUTE, self)
        if "reorder_cache" not in vars(cache):
            cache.reorder_cache = MethodType(_reorder_cache, cache)

    def reordered(self, samples: Tensor) -> CacheRecord:
        """This record after its samples were reordered to those numbered `samples`, int64 [B]."""
        held, columns = (
            {layer: rows.of_samples(samples) for layer, rows in by_layer.items()}
            for by_layer in (self.held, self.columns)
        )
        return replace(self, held=held, columns=columns)

    def sync_with(self, cache: Any, past: int, batch: int) -> CacheRecord:
        """This record for a cache that now holds `past` positions: cropped, or empty if the cache was emptied.

        After a crop, shortened layers are cropped too, if needed: transformers 5.0 crops to an absolute length, which
        leaves shorter layers as they are. Later releases remove a number of tokens, which is right for all layers.

        Raises:
            CacheError: the record does not fit a cache of `past` positions and `batch` samples.
        """
        if not self.held:
            return self
        shortest, static = max(self.held), static_length(cache) is not None
        holds = int(cache.layers[shortest].get_seq_length()) if past else 0
        # as long as layer 0: the cache was refilled while detached (a growing cache may also have been cropped)
        refilled = static and holds == past and self.missing(shortest)
        if not past or refilled:
            self.forget(cache)
            return CacheRecord()
        self._check(past, batch)
        record = self if past >= self.length else self._cropped(past)
        if record is not self:
            record.store(cache)
        # layers of a static cache count their own positions
        if not static and holds != past - record.missing(shortest):
            first = min(record.held)
            for number, layer in enumerate(cache.layers[first:], start=first):
                length = past - record.missing(number)
                layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]
        return record

    def _cropped(self, past: int) -> CacheRecord:
        """This record without the positions from `past` on: the last slots of every layer, or padding slots.

        Raises:
            CacheError: some of those slots hold earlier positions, because padding on the right was dropped.
        """
        held = {}
        for layer, rows in self.held.items():
            columns = rows.positions.shape[1] - (self.length - past)
            before = rows.positions < past
            lost = before if rows.is_token is None else before & rows.is_token
            if lost[:, max(columns, 0) :].any():
                raise CacheError(
                    f"the cache was cropped to {past} of {self.length} positions, whose padding on the right was dropped "
                    "along with vision tokens: it can be cropped where samples are padded on the left; start with a new cache"
                )
            valid = None if rows.is_token is None else (rows.is_token & before)[:, :columns]
            held[layer] = KeptTokens(rows.positions[:, :columns].clamp(max=past - 1), valid)
        return CacheRecord(past, held, self.vision_end)

    def _check(self, past: int, batch: int) -> None:
        if past < self.vision_end:
            raise CacheError(
                f"the cache holds {past} positions but vision tokens were dropped among its first {self.vision_end}: "
                "a cache can be cropped after the last picture, but not into it; start with a new cache"
            )
        filled = next(iter(self.held.values())).positions.shape[0]
        if filled != batch:
            raise CacheError(
                f"the cache was filled by a batch of {filled} and this call has {batch} samples: samples cannot be "
                "added to or taken from a cache that vision tokens were dropped from; start with a new cache"
            )

    def missing(self, layer: int) -> int:
        """How many fewer keys than positions a layer holds; padding slots count as keys."""
        held = latest(self.held, layer)
        return 0 if held is None else self.length - held.positions.shape[1]

    def keys(self, layer: int, past: int | None, new: int, rows: KeptTokens | None) -> KeptTokens | None:
        """Positions that a layer holds after a forward pass over `new` positions, shortened to `rows`; None: all of them.

        If `past` is None, in a compiled step over a static cache, these are all that the layer will ever hold.
        """
        if past is None:
            return latest(self.columns, layer)
        before = latest(self.held, layer)
        if before is None and rows is None:
            return None
        like = before.positions if before is not None else rows.positions  # type: ignore[union-attr]
        parts = (
            [KeptTokens.every(0, past, like)] if before is None else [before, KeptTokens.every(self.length, past, like)]
        )
        added = KeptTokens.every(past, past + new, like)
        parts.append(added if rows is None else KeptTokens(rows.positions + past, rows.is_token))
        return _join([part for part in parts if part.positions.shape[1]])

    def extended(
        self, past: int, new: int, kept: Mapping[int, KeptTokens | None], vision_end: int, columns: int | None = None
    ) -> CacheRecord:
        """This record after a forward pass over `new` positions that follow `past` others, shortened as in `kept`.

        `vision_end` is the position after the last vision token of the pass, `columns` the length of a static cache.
        """
        length = past + new
        keys = {layer: self.keys(layer, past, new, latest(kept, layer)) for layer in sorted({*self.held, *kept})}
        held = {layer: rows for layer, rows in keys.items() if rows is not None}
        to_come = {} if columns is None else {layer: _with_room(rows, length, columns) for layer, rows in held.items()}
        return CacheRecord(length, held, past + vision_end, to_come)


def _reorder_cache(cache: Any, beam_idx: Tensor) -> None:
    """`Cache.reorder_cache` for a cache with a record; beams may come from samples with other pictures."""
    CacheRecord.of(cache).reordered(beam_idx).store(cache)
    type(cache).reorder_cache(cache, beam_idx)


def _join(parts: list[KeptTokens]) -> KeptTokens:
    if len(parts) == 1:
        return parts[0]
    device = parts[-1].positions.device
    index = torch.cat([part.positions.to(device) for part in parts], dim=1)
    if all(part.is_token is None for part in parts):
        return KeptTokens(index, None)
    valid = [
        torch.ones_like(part.positions, dtype=torch.bool) if part.is_token is None else part.is_token for part in parts
    ]
    return KeptTokens(index, torch.cat([part.to(device) for part in valid], dim=1))


def _with_room(rows: KeptTokens, length: int, columns: int) -> KeptTokens:
    """Positions that a layer of a static cache holds, then those that will follow the first `length`.

    Their number is rounded up to a multiple of an eighth of the cache, because each new number causes a recompilation.
    """
    eighth = -(-columns // 8)
    most = rows.positions.shape[1] + columns - length
    rounded = min(columns, -(-most // eighth) * eighth)
    later = KeptTokens.every(length, length + rounded - rows.positions.shape[1], rows.positions)
    return _join([rows, KeptTokens(later.positions.clamp(max=columns - 1), later.positions < columns)])
