"""The reference of the truth test: a stock model that keeps dropped tokens and masks them as keys from their layer on.

It uses nothing of v2drop but the schedule's numbers and the locations of the model's layers: scores, choices and masks
are computed here, plainly.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..adapter import Adapter
from ..errors import MethodError
from ..schedule import Schedule, Stage
from .plain_scores import PLAIN_SCORES, Plain


class MaskingTruth:
    """Runs a stock model with masking instead of dropping; a context manager.

    Attributes:
        kept: per stage layer and sample, sorted positions of the vision tokens kept after it (last call with media).
        closest: the smallest relative gap between two scores at a cut so far.

    Raises:
        MethodError: a method without a plain score.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        adapter: Adapter,
        placeholders: Sequence[int],
        vision_mask: Tensor | None = None,
        metric: str = "l2",
        method: str = "v2drop",
    ) -> None:
        if method not in ("v2drop", *PLAIN_SCORES) and schedule.stages:
            raise MethodError(
                f"method {method!r} has no plain score to compare it with: add one to PLAIN_SCORES in "
                "v2drop.conformance.plain_scores; see v2drop docs adding-a-method"
            )
        self.metric, self.method = metric, method
        self.schedule, self.adapter, self.placeholders = schedule, adapter, torch.tensor(placeholders)
        self.inner = adapter.inner_model(model)
        self.layers = adapter.decoder_layers(model)
        self.arguments = list(inspect.signature(self.inner.forward).parameters)
        self.eager = adapter.attention(model) == "eager"
        self.vision_mask = vision_mask
        self.gone: dict[int, Tensor | None] = {stage.layer: None for stage in schedule.stages}
        self.kept: dict[int, list[Tensor]] = {}
        self.closest = float("inf")

    def __enter__(self) -> MaskingTruth:
        self._hooks = [self.inner.register_forward_pre_hook(self._start, with_kwargs=True)]
        for number, layer in enumerate(self.layers):
            self._hooks.append(layer.register_forward_pre_hook(partial(self._mask, number), with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kwargs = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        given = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        batch, length = given.shape[:2]
        caches = _caches(kwargs)
        self.past = next(iter(caches.values())).get_seq_length() if caches else 0
        for cache in caches.values():
            if vars(cache).get("reorder_cache") is None:
                cache.reorder_cache = _Reordering(self, cache)
        total = self.past + length
        padding = kwargs.get("attention_mask")
        self.real = torch.ones(batch, total, dtype=torch.bool) if padding is None else padding.bool()
        if self.past == 0:
            self.gone = dict.fromkeys(self.gone)
        self.vision = torch.zeros(batch, length, dtype=torch.bool)
        media = any(_carried(kwargs.get(name)) for name in self.adapter.media_inputs)
        if self.vision_mask is not None and (media or self.past == 0):
            self.vision = self.vision_mask.repeat_interleave(batch // len(self.vision_mask), 0)
        elif media and kwargs.get("input_ids") is not None:
            self.vision = torch.isin(kwargs["input_ids"], self.placeholders)
        self.vision &= self.real[:, self.past :]
        self.alive = self.vision.clone()
        for layer, gone in self.gone.items():
            # a cache that is shorter than before was cropped, or is the original of a longer copy
            before = torch.zeros(batch, 0, dtype=torch.bool) if gone is None else gone[:, : self.past]
            fresh = torch.zeros(batch, total - before.shape[1], dtype=torch.bool)
            self.gone[layer] = torch.cat([before, fresh], dim=1)
        self.previous: Tensor | None = None
        if self.vision.any() or self.past == 0:  # a new sequence
            self.kept = {}

    def _mask(self, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden = args[0]
        for stage in self.schedule.stages:
            if stage.layer == number and self.vision.any():
                self._drop(stage, hidden)
        self.previous = hidden
        length, total = hidden.shape[1], self.real.shape[1]
        query = torch.arange(self.past, total)[:, None]
        visible = (torch.arange(total)[None, :] <= query)[None] & self.real[:, None, :]
        stock = kwargs.get("attention_mask")
        if isinstance(stock, Tensor) and stock.ndim == 4 and stock.shape[-1] == total:  # it separates packed sequences
            visible = visible & (stock if stock.dtype == torch.bool else stock == 0)[:, 0]
        for layer, gone in self.gone.items():
            if layer <= number:
                assert gone is not None
                visible = visible & ~gone[:, None, :]
        # padding and dropped queries see themselves, so that no softmax is empty; as keys they are hidden from others
        itself = torch.eye(length, total, dtype=torch.bool).roll(self.past, dims=1)
        seen = (visible | itself)[:, None]
        additive = torch.zeros(seen.shape, dtype=hidden.dtype).masked_fill(~seen, torch.finfo(hidden.dtype).min)
        if self.method != "v2drop" and number + 1 in self.gone and self.vision.any():
            self.attention, self.keys = _attention(module, hidden, additive, kwargs, bool(self.past))
        return args, {**kwargs, "attention_mask": additive if self.eager else seen}

    def _drop(self, stage: Stage, hidden: Tensor) -> None:
        assert self.previous is not None
        for sample in range(hidden.shape[0]):
            real = self.real[sample, self.past :].nonzero().flatten()
            last = int(real[-1]) if len(real) else -1
            candidates = [c for c in self.alive[sample].nonzero().flatten().tolist() if c != last]
            n = len(candidates)
            k = min(n, max(self.schedule.min_tokens, int(n * stage.keep)))
            scores = self._scores(stage.layer, sample, hidden, candidates, last, k)
            ranked = sorted(candidates, key=lambda c: (-scores[c], c))
            inside, outside = (scores[ranked[k - 1]], scores[ranked[k]]) if 0 < k < n else (0.0, 0.0)
            if inside or outside:  # zeros, such as attention from no query, are exact
                # where 1 - cosine is small, its rounding error is that of 1
                least = {"dart": 1, "v2drop": 0.1 if self.metric == "cosine" else 1e-12}.get(self.method, 1e-12)
                scale = max(inside, least)
                self.closest = min(self.closest, (inside - outside) / scale)
            for c in ranked[k:]:
                self.alive[sample, c] = False
                for layer, gone in self.gone.items():
                    if layer >= stage.layer:
                        assert gone is not None
                        gone[sample, self.past + c] = True
        self.kept[stage.layer] = [self.past + row.nonzero().flatten() for row in self.alive]

    def _scores(
        self, layer: int, sample: int, hidden: Tensor, candidates: list[int], last: int, staying: int
    ) -> list[float]:
        assert self.previous is not None
        current, previous = hidden[sample].double(), self.previous[sample].double()
        if self.method == "v2drop":
            return _distance(current, previous, self.metric).tolist()
        vision = self.vision[sample]
        plain = Plain(
            layer=layer,
            current=current,
            attention=self.attention[sample, :, :, self.past :].double(),
            keys=self.keys[sample].double(),
            vision=self.alive[sample].nonzero().flatten().tolist(),
            candidates=candidates,
            text=(self.real[sample, self.past :] & ~vision).nonzero().flatten().tolist(),
            last=last,
            rank=[int(vision[:column].sum()) for column in range(len(vision))],
            staying=staying,
        )
        return PLAIN_SCORES[self.method](plain).tolist()


class _Reordering:
    """A cache's `reorder_cache`: beam search takes rows, to which stock models may have shown other pictures, with their keys."""

    def __init__(self, truth: MaskingTruth, cache: Any) -> None:
        self._truth, self._cache = truth, cache

    def __call__(self, samples: Tensor) -> None:
        type(self._cache).reorder_cache(self._cache, samples)
        gone = self._truth.gone
        self._truth.gone = {layer: None if rows is None else rows[samples] for layer, rows in gone.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Reordering:
        return _Reordering(self._truth, copy.deepcopy(self._cache, memo))


def _attention(module: Any, hidden: Tensor, mask: Tensor, kwargs: dict[str, Any], past: bool) -> tuple[Tensor, Tensor]:
    """Weights [B, heads, S, K] of a layer by the stock model's own eager attention, and keys [B, S, key heads * D]."""
    attention, hidden = module.self_attn, module.input_layernorm(hidden)
    usual = attention.config._attn_implementation
    attention.config._attn_implementation = "eager"
    try:
        needed = ("position_embeddings", "cache_position")
        options = {name: kwargs[name] for name in needed if kwargs.get(name) is not None}
        if past:
            options |= copy.deepcopy(_caches(kwargs))
        weights = attention(hidden_states=hidden, attention_mask=mask, **options)[1]
    finally:
        attention.config._attn_implementation = usual
    return weights, attention.k_proj(hidden)


def _distance(one: Tensor, other: Tensor, metric: str) -> Tensor:
    if metric == "cosine":
        return 1 - (one * other).sum(-1) / (one.pow(2).sum(-1) * other.pow(2).sum(-1)).sqrt()
    return (one - other).abs().sum(-1) if metric == "l1" else (one - other).pow(2).sum(-1).sqrt()


def _caches(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The cache argument, whose name differs between releases."""
    return {name: value for name, value in kwargs.items() if hasattr(value, "get_seq_length")}


def _carried(media: Any) -> bool:
    return any(value is not None for value in media.values()) if isinstance(media, dict) else media is not None
