"""Prepares a forward pass: how full its cache is, what is remembered about it, and what to drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..adapter import Adapter
from ..dropper import ProgressiveDropper
from ..errors import CacheError, UsageError, VisionMaskError
from ..hf.caches import filled, static_length
from ..hf.calls import LayerArguments, cache_in, is_paged
from ..hf.inputs import agreed_mask, fit_mask, has_media, padding_of
from ..methods import Method
from ..schedule import Schedule
from .cache_record import CacheRecord
from .continuous_batching import refuse_pictures
from .forward_pass import ForwardPass


class ForwardPassMaker:
    """Makes the state of each forward pass from the settings of an attachment.

    Args:
        schedule: the stages.
        adapter: the model's adapter.
        method: the method that scores tokens.
        arguments: the argument names of each decoder layer of the model.
    """

    def __init__(
        self, schedule: Schedule, adapter: Adapter, method: Method, arguments: Sequence[LayerArguments]
    ) -> None:
        self._schedule, self._adapter, self._method, self._arguments = schedule, adapter, method, arguments

    def make(self, inner: nn.Module, inputs: Mapping[str, Any], assigned: Tensor | None) -> ForwardPass | None:
        """The state of a forward pass; None if it has nothing to drop and nothing was dropped before.

        Args:
            inner: the inner model that is called. It is not stored: code compiled by torch.compile must not find a
                module in two places.
            inputs: the arguments of the call by name.
            assigned: the vision mask that the caller assigned for it.

        Raises:
            VisionMaskError: media without vision tokens, or a vision mask that does not fit.
            CacheError: the cache does not match its record, or is too small.
            UsageError: the call is exported, or comes from continuous batching and has pictures.
        """
        ids, embeds, cache = inputs.get("input_ids"), inputs.get("inputs_embeds"), cache_in(inputs)
        given = ids if ids is not None else embeds
        if given is None:
            return None  # the stock model says what is missing
        batch, length = given.shape[:2]
        media = any(has_media(inputs.get(name)) for name in self._adapter.media_inputs)
        # without media, placeholder ids are ordinary text: emitted by the model, proposed by prompt lookup, or quoted
        text = not media and assigned is None
        if text and is_paged(inputs):
            refuse_pictures(self._adapter, inner, inputs)
        if text and length == 1 and torch.compiler.is_compiling() and static_length(cache) is not None:
            # asking how full the cache is would break the graph; such a cache cannot be cropped
            past, dropper, record = None, None, CacheRecord.of(cache)
        else:
            past = filled(cache, inputs.get("cache_position"))
            record = CacheRecord.of(cache).sync_with(cache, past, batch)
            dropper = None if text else self._dropper(inner, inputs, assigned, given.shape[:2], past, media)
        if dropper is None and not record.held:
            return None
        columns = static_length(cache)
        if columns is not None and past is not None and past + length > columns:
            raise CacheError(
                f"{type(cache).__name__} has room for {columns} positions, and this call needs {past + length} ({past} that it "
                f"holds and {length} new ones): make it with max_cache_len={past + length} or more, and room for the answer"
            )
        return ForwardPass(inner, self._adapter, dropper, record, past, length, self._arguments)

    def _dropper(
        self,
        inner: nn.Module,
        inputs: Mapping[str, Any],
        assigned: Tensor | None,
        shape: tuple[int, int],
        past: int,
        media: bool,
    ) -> ProgressiveDropper | None:
        """The dropper for a forward pass of `shape`, with `media` or not; None if it holds no vision tokens."""
        if getattr(torch.compiler, "is_exporting", bool)():  # missing in torch 2.6
            raise UsageError(
                "torch.export of an attached model: how many tokens stay depends on the prompt, which an "
                "exported graph cannot hold; detach() before exporting; see v2drop docs limits"
            )
        found = (
            None
            if assigned is not None and inputs.get("input_ids") is None
            else self._adapter.vision_mask(inner, inputs)
        )
        if assigned is not None:
            found = agreed_mask(fit_mask(assigned, *shape), found)
        if found is not None:
            real = padding_of(inputs.get("attention_mask"), past, *shape)
            dropper = ProgressiveDropper(self._schedule, found, attention_mask=real, method=self._method)
            if any(dropper.vision_counts):
                return dropper
        if media and (found is None or not found.any()):  # if the mask hides all of them, nothing is missing
            raise VisionMaskError(
                "pictures were passed but no vision token was found: pass input_ids with the picture placeholders, "
                "or assign attachment.vision_mask = mask (bool [batch, sequence]) before the call; see v2drop docs limits"
            )
        return None
