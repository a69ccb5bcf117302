"""One forward pass through a stock model's decoder layers: the remaining tokens, masks, rotary embeddings and keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ..adapter import Adapter
from ..dropper import ProgressiveDropper
from ..errors import UnsupportedModelError
from ..hf.caches import FirstColumns, check_cache, static_length
from ..hf.calls import LayerArguments, check_gathered
from ..hf.masks import shorten_mask
from ..hf.outputs import restore_attention, restore_output
from ..hf.packed_sequences import renumber_packed
from ..kept_tokens import KeptTokens, latest
from ..report import PassTrace
from .cache_record import CacheRecord
from .layer_probe import ModelLayerProbe


class ForwardPass:
    """The state of one forward pass. It travels with the call as a keyword argument, so nothing stays on the model.

    Args:
        dropper: drops vision tokens; None in a call without any.
        record: the cache's record from earlier calls.
        past: positions that the cache holds; None in a compiled step over a static cache, which does not need it.
        length: positions of this call.
        arguments: the argument names of each decoder layer of the model.
    """

    def __init__(
        self,
        model: Any,
        adapter: Adapter,
        dropper: ProgressiveDropper | None,
        record: CacheRecord,
        past: int | None,
        length: int,
        arguments: Sequence[LayerArguments],
    ) -> None:
        self.dropper, self.arguments = dropper, arguments
        self._model, self._adapter, self._num_layers = model, adapter, len(arguments)
        self._record, self._past, self._length = record, past, length
        self._starts = {*record.held, *(dropper.stage_layers if dropper is not None else ())}
        self._changed_at = 0  # the last layer before which something changed; 0: none yet
        self._ragged = False
        self._shortened: list[
            tuple[Any, Any, Any, dict[str, Any]]
        ] = []  # names, mask, rotary embeddings, their replacements
        self._cache: Any = None
        self._element_size = 0
        self._layers_run = 0
        self._queries_per_layer: list[int] = []
        self._keys_per_layer: list[int] = []

    def before_layer(self, layer: int, module: Any, hidden_states: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """Shorten a decoder layer's input [B, Q, H] and, in place, its keyword arguments that run over positions."""
        names = self.arguments[layer]
        self._cache = kwargs.get(names.cache)
        if layer < self._layers_run:
            return self._replay(layer, module, hidden_states, kwargs)
        rows: KeptTokens | None = None
        shortened: dict[str, Any] | None = None
        if self.dropper is not None:
            assert self._past is not None
            if layer == 0 and self.dropper.drops:
                check_cache(self._cache)
            before = self._past - self._record.missing(layer)
            shortened = {}  # filled in below, before the probe reads it
            probe = partial(ModelLayerProbe, self._adapter, module, names, shortened, before)
            hidden_states = self.dropper.before_layer(layer, hidden_states, probe)
            rows = self.dropper.rows
            self._record_layer(hidden_states, before)
        if layer in self._starts:
            held = latest(self._record.columns or self._record.held, layer)
            self._changed_at, self._ragged = layer, held is not None and held.is_token is not None
            self._shortened.clear()
        # a decode step without padding ends here: its one query sees every key that a layer holds
        if self._changed_at and (rows is not None or self._ragged or kwargs.get(names.attention_mask) is not None):
            kwargs.update(self._shorten_once(names, module, kwargs, rows))
        if shortened is not None:
            shortened.update(kwargs)
        return hidden_states

    def _replay(self, layer: int, module: Any, hidden_states: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """Repeat `before_layer`: transformers 5.0's gradient checkpointing reruns a layer's hooks, last layer first."""
        assert self.dropper is not None
        rows = self._rows_of(layer)
        if rows is not None:
            kwargs.update(self._shorten(layer, self.arguments[layer], module, kwargs, rows))
        return self.dropper.replay(layer, hidden_states)

    def _shorten_once(
        self, names: LayerArguments, module: Any, kwargs: dict[str, Any], rows: KeptTokens | None
    ) -> dict[str, Any]:
        """The shortened arguments, computed once for all layers that get the same originals."""
        mask, rotary = kwargs.get(names.attention_mask), kwargs.get(names.position_embeddings)
        for seen_names, seen_mask, seen_rotary, short in self._shortened:
            if seen_mask is mask and seen_rotary is rotary and seen_names is names:
                return short
        short = self._shorten(self._changed_at, names, module, kwargs, rows)
        self._shortened.append((names, mask, rotary, short))
        return short

    def _shorten(
        self, layer: int, names: LayerArguments, module: Any, kwargs: dict[str, Any], rows: KeptTokens | None
    ) -> dict[str, Any]:
        keys = self._record.keys(layer, self._past, self._length, rows)
        if keys is None:
            return {}
        attention, given = self._adapter.attention(self._model), names.known(kwargs)
        before = None if self._past is None else self._past - self._record.missing(layer)
        mask = given.get("attention_mask")
        mask = shorten_mask(mask, rows, keys, past=self._past, before=before, length=self._length, attention=attention)
        short: dict[str, Any] = {"attention_mask": mask}
        if rows is not None:
            short |= self._adapter.gather_rotary(given, rows.positions)
            if "flash" in attention:
                short |= renumber_packed(given, rows)
            assert self._past is not None
            check_gathered(given, short, (self._length, self._past + self._length), type(module).__name__)
        if static_length(self._cache) is not None:
            short["cache"] = FirstColumns(self._cache, keys.positions.shape[1])
            if given.get("cache_position") is not None:  # transformers 5.0 writes there
                count = self._length if rows is None else rows.positions.shape[1]
                short["cache_position"] = given["cache_position"][:count] - self._record.missing(layer)
        return names.stock(short)

    def _record_layer(self, hidden_states: Tensor, before: int) -> None:
        self._element_size = hidden_states.element_size()
        self._layers_run += 1
        self._queries_per_layer.append(hidden_states.shape[1])
        self._keys_per_layer.append(before + hidden_states.shape[1])

    def finish(self, output: Any) -> Any:
        """Restore the inner model's output to its stock shapes, and store on the cache what the next call needs.

        Raises:
            UnsupportedModelError: the model did not pass the state to every decoder layer.
        """
        if self.dropper is None:
            return restore_output(output, lambda _, hidden: hidden, self._restore_attention, self._num_layers)
        if self._layers_run != self._num_layers:
            raise UnsupportedModelError(
                f"{self._layers_run} of {self._num_layers} decoder layers took part: the model must pass "
                "keyword arguments on to its decoder layers, each running once; see v2drop docs adding-an-architecture"
            )
        if self._cache is not None and self.dropper.rows is not None:
            assert self._past is not None
            kept, vision_end, columns = self.dropper.kept, self.dropper.vision_end, static_length(self._cache)
            self._record.extended(self._past, self._length, kept, vision_end, columns).store(self._cache)
        return restore_output(output, self._restore_hidden, self._restore_attention, self._num_layers)

    def _restore_hidden(self, layers: int, hidden_states: Tensor) -> Tensor:
        rows = self._rows_of(layers - 1)
        return hidden_states if rows is None else rows.scatter(hidden_states, self._length)

    def _restore_attention(self, layer: int, weights: Tensor) -> Tensor:
        rows = self._rows_of(layer)
        keys = self._record.keys(layer, self._past, self._length, rows)
        if keys is None:
            return weights
        total = static_length(self._cache) or (self._past or 0) + self._length
        return restore_attention(weights, rows, keys, self._length, total)

    def _rows_of(self, layer: int) -> KeptTokens | None:
        return None if self.dropper is None else latest(self.dropper.kept, layer)

    def snapshot(self) -> PassTrace:
        """The data for the report. Only for a call with vision tokens."""
        assert self.dropper is not None
        assert self._past is not None
        return PassTrace(
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
