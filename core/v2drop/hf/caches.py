"""Queries on transformers' caches, and the view of a static cache that a shortened layer gets."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from ..errors import CacheError


def static_length(cache: Any) -> int | None:
    """The length of each layer of a cache that is allocated once, such as StaticCache; None for one that grows."""
    layers = getattr(cache, "layers", None)
    return layers[0].max_cache_len if layers and getattr(layers[0], "is_compileable", False) else None


def filled(cache: Any, cache_position: Any) -> int:
    """How many positions a cache (or None) holds before a call.

    Static caches in transformers 5.0 count the nonzero keys of their first sample, but keys of padding may be zero. Its
    `generate` passes `cache_position`, the positions of the call. Later releases do neither.
    """
    if cache is None:
        return 0
    if cache_position is not None and static_length(cache) is not None:
        return int(cache_position[0])
    return int(cache.get_seq_length())


def earlier_keys(cache: Any, layer: int, before: int, keys: Tensor) -> Tensor:
    """The first `before` keys [B, key heads, before, D] in a layer of a cache, with the device and dtype of `keys`.

    `keys` [B, key heads, Q, D] are new ones, which are not added to the cache. The `keys` of a quantized layer are only
    the latest; updating it with no keys returns all of them.
    """
    held = cache.layers[layer]
    earlier = held.keys
    if earlier.ndim < 4 or earlier.shape[2] < before:
        none = keys[:, :, :0]
        earlier = copy.copy(held).update(none, none)[0]
    return earlier[:, :, :before].to(keys.device, keys.dtype)


def check_cache(cache: Any) -> None:
    """Raise CacheError for a cache that discards old keys by itself."""
    for layer in getattr(cache, "layers", ()):
        if getattr(layer, "is_sliding", False):
            raise CacheError(
                f"{type(cache).__name__} with {type(layer).__name__}: dropping needs cache layers that keep all keys; "
                "use a model without sliding windows; see v2drop docs limits"
            )


class FirstColumns:
    """A view of a static cache in which a layer's attention sees only the first `columns` slots.

    All layers of a static cache have the same length, and attending to slots that a shortened layer cannot fill is a
    waste. The cache itself is unchanged, so it can be emptied and reused with any model.
    """

    def __init__(self, cache: Any, columns: int) -> None:
        self._cache, self._columns = cache, columns

    def update(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The cache's keys and values [B, heads, columns, D] after an update; see `Cache.update`."""
        keys, values = self._cache.update(*args, **kwargs)
        return keys[:, :, : self._columns], values[:, :, : self._columns]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)
