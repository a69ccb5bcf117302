"""What v2drop asks of transformers' caches, and what it shows of a static one to a shortened layer."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from ..errors import CacheError


def static_length(cache: Any) -> int | None:
    """Columns of each layer of a cache that was allocated once, such as StaticCache; None for one that grows."""
    layers = getattr(cache, "layers", None)
    return layers[0].max_cache_len if layers and getattr(layers[0], "is_compileable", False) else None


def filled(cache: Any, cache_position: Any) -> int:
    """How many positions a cache (or None) holds before a call.

    Static caches of transformers 5.0 count what is not zero in their first sample, which keys of padding may be; but its
    `generate` passes `cache_position`, the positions of the call. Later releases do without both.
    """
    if cache is None:
        return 0
    if cache_position is not None and static_length(cache) is not None:
        return int(cache_position[0])
    return int(cache.get_seq_length())


def earlier_keys(cache: Any, layer: int, before: int, keys: Tensor) -> Tensor:
    """The first `before` keys [B, key heads, before, D] that a layer of a cache holds, on the device and of the type of `keys`.

    `keys` [B, key heads, Q, D] are new ones, which the cache does not take. A quantized layer holds the latest keys alone; it
    hands out all of them when it is given none.
    """
    held = cache.layers[layer]
    earlier = held.keys
    if earlier.ndim < 4 or earlier.shape[2] < before:
        none = keys[:, :, :0]
        earlier = copy.copy(held).update(none, none)[0]
    return earlier[:, :, :before].to(keys.device, keys.dtype)


def check_cache(cache: Any) -> None:
    """Raise CacheError for a cache that forgets old keys, whatever was dropped."""
    for layer in getattr(cache, "layers", ()):
        if getattr(layer, "is_sliding", False):
            raise CacheError(
                f"{type(cache).__name__} with {type(layer).__name__}: dropping needs layers that keep what they were given; "
                "use a model without sliding windows; see v2drop docs limits"
            )


class FirstColumns:
    """A static cache of which a layer's attention sees the first `columns` only.

    All layers of a static cache are equally long, and what a shortened one cannot fill is not worth attending to. The
    cache itself stays as it is, so that it can be emptied and serve any model again.
    """

    def __init__(self, cache: Any, columns: int) -> None:
        self._cache, self._columns = cache, columns

    def update(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The cache's keys and values [B, heads, columns, D] after taking new ones; see `Cache.update`."""
        keys, values = self._cache.update(*args, **kwargs)
        return keys[:, :, : self._columns], values[:, :, : self._columns]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)
