"""What dropping cannot be combined with: refused with a clear error before anything goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ..errors import CacheError, UsageError, V2DropError
from ..hf.calls import cache_argument, cache_in
from .generation_promises import GenerationPromises
from .input_promises import raises

Record = Callable[[str, object], None]  # pytest's `record_property`; what it records goes into the table of features


class RefusalPromises(GenerationPromises):
    """What is refused, each with a message that says what to do instead."""

    @torch.no_grad()
    def test_a_cache_cropped_into_a_picture(self, record_property: Record) -> None:
        """What was dropped behind the crop cannot come back."""
        model, inputs = self.model(), self._prompt_alone()
        last = int(self.is_vision(inputs)[0].nonzero()[-1])

        def go_on() -> None:
            cache = cache_in(model(**inputs, use_cache=True))
            for layer in cache.layers:
                layer.keys, layer.values = layer.keys[:, :, :last], layer.values[:, :, :last]
            model(self._turns()[0], **cache_argument(model, cache))

        self._refused(CacheError, go_on, model, record_property)

    @torch.no_grad()
    def test_padding_cropped_off_a_cache(self, record_property: Record) -> None:
        """Padding on the right went along with what was dropped, and a crop takes words in its place."""
        model, inputs = self.model(), self.ending_in_text(1, words=3)
        inputs["attention_mask"][:, -2:] = 0

        def go_on() -> None:
            cache = cache_in(model(**inputs, use_cache=True))
            cache.crop(-2)
            model(self._turns()[0], **cache_argument(model, cache))

        self._refused(CacheError, go_on, model, record_property)

    @torch.no_grad()
    def test_samples_added_to_a_filled_cache(self, record_property: Record) -> None:
        """What was dropped is known of the samples that filled it."""
        model, inputs = self.model(), self._prompt_alone()

        def go_on() -> None:
            cache = cache_in(model(**inputs, use_cache=True))
            model(self._turns()[0].repeat(2, 1), **cache_argument(model, cache))

        self._refused(CacheError, go_on, model, record_property)

    @torch.no_grad()
    def test_caches_of_sliding_windows(self, record_property: Record) -> None:
        """They forget old keys, whatever was dropped."""
        model, layers = self.model(), self.library.cache_utils
        cache = layers.DynamicCache()
        cache.layers = [layers.DynamicSlidingWindowLayer(sliding_window=4) for _ in range(self.depth)]
        call = partial(model, **self._prompt_alone(), **cache_argument(model, cache))
        self._refused(CacheError, call, model, record_property)

    @torch.no_grad()
    def test_exporting(self, record_property: Record) -> None:
        """How many tokens stay depends on the prompt, which an exported graph cannot hold."""
        model = self.model()
        export = partial(torch.export.export, model, (), kwargs=self._prompt_alone(), strict=False)
        self._refused(UsageError, export, model, record_property)

    def _refused(self, kind: type[V2DropError], act: Callable[[], object], model: Any, record: Record) -> None:
        with self.attach(model, self.halves):
            said = str(raises(kind, act))
        assert "v2drop docs" in said or "start with a new cache" in said, "a message says what to do"
        record("refused", said.replace(type(model).__name__, "model"))
