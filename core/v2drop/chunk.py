"""One forward call's way through the decoder layers of a stock model: rows, masks, rotary embeddings and keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from .adapter import Adapter
from .caches import FirstColumns, check_cache, static_length
from .calls import LayerArguments, check_gathered
from .dropper import ProgressiveDropper
from .errors import UnsupportedModelError
from .look import LayerLook
from .masks import shorten_mask
from .memory import Memory, latest
from .outputs import restore_attention, restore_output
from .packing import shorten_seams
from .report import ChunkTrace
from .rows import Rows


class Chunk:
    """The state of one forward call. It travels with the call as a keyword argument, so nothing is left behind.

    Args:
        dropper: what drops vision tokens; None in a chunk without any.
        memory: what earlier chunks left in the cache.
        past: positions that the cache holds; None in a compiled step over a static cache, which does without.
        length: columns of this chunk.
        arguments: of each decoder layer of the model, what it calls its arguments.
    """

    def __init__(
        self,
        model: Any,
        adapter: Adapter,
        dropper: ProgressiveDropper | None,
        memory: Memory,
        past: int | None,
        length: int,
        arguments: Sequence[LayerArguments],
    ) -> None:
        self.dropper, self.arguments = dropper, arguments
        self._model, self._adapter, self._num_layers = model, adapter, len(arguments)
        self._memory, self._past, self._length = memory, past, length
        self._starts = {*memory.held, *(dropper.stage_layers if dropper is not None else ())}
        self._changed_at = 0  # the last layer before which something changed; 0: none yet
        self._ragged = False
        self._shortened: list[
            tuple[Any, Any, Any, dict[str, Any]]
        ] = []  # names, mask, rotary embeddings, what replaces them
        self._cache: Any = None
        self._element_size = 0
        self._queries_per_layer: list[int] = []
        self._keys_per_layer: list[int] = []

    def before_layer(self, layer: int, module: Any, hidden_states: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """Shorten a decoder layer's input [B, Q, H], and in place the keyword arguments that run over positions."""
        names = self.arguments[layer]
        self._cache = kwargs.get(names.cache)
        if layer < len(self._queries_per_layer):
            return self._again(layer, module, hidden_states, kwargs)
        rows = None
        if self.dropper is not None:
            assert self._past is not None
            if layer == 0 and self.dropper.drops:
                check_cache(self._cache)
            before = self._past - self._memory.missing(layer)
            look = partial(
                LayerLook, self._adapter, module, names, kwargs, before
            )  # kwargs are those of the layer, see below
            hidden_states = self.dropper.before_layer(layer, hidden_states, look)
            rows = self.dropper.rows
            self._trace(hidden_states, before)
        if layer in self._starts:
            held = latest(self._memory.columns or self._memory.held, layer)
            self._changed_at, self._ragged = layer, held is not None and held.valid is not None
            self._shortened.clear()
        # a decode step without padding ends here: its one query sees every key that a layer holds
        if self._changed_at and (rows is not None or self._ragged or kwargs.get(names.attention_mask) is not None):
            kwargs.update(self._shorten_once(names, module, kwargs, rows))
        return hidden_states

    def _again(self, layer: int, module: Any, hidden_states: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """As before: gradient checkpointing of transformers 5.0 runs a layer's hooks once more, last layer first."""
        assert self.dropper is not None
        rows = self._rows_of(layer)
        if rows is not None:
            kwargs.update(self._shorten(layer, self.arguments[layer], module, kwargs, rows))
        return self.dropper.again(layer, hidden_states)

    def _shorten_once(
        self, names: LayerArguments, module: Any, kwargs: dict[str, Any], rows: Rows | None
    ) -> dict[str, Any]:
        """The replaced arguments, computed once for all layers that are handed the same ones."""
        mask, rotary = kwargs.get(names.attention_mask), kwargs.get(names.position_embeddings)
        for seen_names, seen_mask, seen_rotary, short in self._shortened:
            if seen_mask is mask and seen_rotary is rotary and seen_names is names:
                return short
        short = self._shorten(self._changed_at, names, module, kwargs, rows)
        self._shortened.append((names, mask, rotary, short))
        return short

    def _shorten(
        self, layer: int, names: LayerArguments, module: Any, kwargs: dict[str, Any], rows: Rows | None
    ) -> dict[str, Any]:
        keys = self._memory.keys(layer, self._past, self._length, rows)
        if keys is None:
            return {}
        attention, given = self._adapter.attention(self._model), names.known(kwargs)
        before = None if self._past is None else self._past - self._memory.missing(layer)
        mask = given.get("attention_mask")
        mask = shorten_mask(mask, rows, keys, self._past, before, self._length, attention)
        short: dict[str, Any] = {"attention_mask": mask}
        if rows is not None:
            short |= self._adapter.gather_rotary(given, rows.index)
            if "flash" in attention:
                short |= shorten_seams(given, rows)
            assert self._past is not None
            check_gathered(given, short, (self._length, self._past + self._length), type(module).__name__)
        if static_length(self._cache) is not None:
            short["cache"] = FirstColumns(self._cache, keys.index.shape[1])
            if given.get("cache_position") is not None:  # transformers 5.0 writes there
                count = self._length if rows is None else rows.index.shape[1]
                short["cache_position"] = given["cache_position"][:count] - self._memory.missing(layer)
        return names.stock(short)

    def _trace(self, hidden_states: Tensor, before: int) -> None:
        self._element_size = hidden_states.element_size()
        self._queries_per_layer.append(hidden_states.shape[1])
        self._keys_per_layer.append(before + hidden_states.shape[1])

    def finish(self, output: Any) -> Any:
        """The inner model's output in its stock shapes; what the next chunk must know goes onto the cache.

        Raises:
            UnsupportedModelError: the model did not carry the chunk to every decoder layer.
        """
        if self.dropper is None:
            return restore_output(output, lambda _, hidden: hidden, self._restore_attention, self._num_layers)
        if len(self._queries_per_layer) != self._num_layers:
            raise UnsupportedModelError(
                f"{len(self._queries_per_layer)} of {self._num_layers} decoder layers took part: the model must pass "
                "keyword arguments on to its decoder layers, each running once; see v2drop docs adding-an-architecture"
            )
        if self._cache is not None and self.dropper.rows is not None:
            assert self._past is not None
            kept, vision_end, columns = self.dropper.kept, self.dropper.vision_end, static_length(self._cache)
            self._memory.extended(self._past, self._length, kept, vision_end, columns).store(self._cache)
        return restore_output(output, self._restore_hidden, self._restore_attention, self._num_layers)

    def _restore_hidden(self, layers: int, hidden_states: Tensor) -> Tensor:
        rows = self._rows_of(layers - 1)
        return hidden_states if rows is None else rows.scatter(hidden_states, self._length)

    def _restore_attention(self, layer: int, weights: Tensor) -> Tensor:
        rows = self._rows_of(layer)
        keys = self._memory.keys(layer, self._past, self._length, rows)
        if keys is None:
            return weights
        total = static_length(self._cache) or (self._past or 0) + self._length
        return restore_attention(weights, rows, keys, self._length, total)

    def _rows_of(self, layer: int) -> Rows | None:
        return None if self.dropper is None else latest(self.dropper.kept, layer)

    def trace(self) -> ChunkTrace:
        """What the report is built from. Only for a chunk with vision tokens."""
        assert self.dropper is not None
        assert self._past is not None
        return ChunkTrace(
            vision_mask=self.dropper.vision_mask,
            kept=self.dropper.kept,
            vision_counts=self.dropper.vision_counts,
            alive=self.dropper.alive,
            nonfinite=self.dropper.nonfinite,
            past=self._past,
            keys=self._keys_per_layer,
            queries=self._queries_per_layer,
            element_size=self._element_size,
        )
