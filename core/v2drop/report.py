"""What was dropped in one forward pass, and what that saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .adapter import ModelDimensions
from .cost import Cost, layer_flops, layer_kv_bytes
from .kept_tokens import KeptTokens, latest


@dataclass(frozen=True)
class PassTrace:
    """What a forward pass records for its report: masks and indices, no hidden states.

    Attributes:
        vision_mask: bool [B, S], the vision tokens of the forward pass.
        kept: by stage layer, the tokens left after the stage; None: all.
        alive: by stage layer, vision tokens left in each sample after the stage.
        nonfinite: number of NaN and infinite scores at each stage that dropped something, on the device.
        past: positions that the cache held before the pass.
        keys: how many keys each layer holds after the pass, padding slots included.
        queries: how many tokens each layer processed, padding slots included.
        element_size: bytes per number in the cache.
    """

    vision_mask: Tensor
    kept: Mapping[int, KeptTokens | None]
    vision_counts: list[int]
    alive: Mapping[int, list[int]]
    nonfinite: list[Tensor]
    past: int
    keys: list[int]
    queries: list[int]
    element_size: int


class DropReport:
    """What was dropped in a forward pass that held vision tokens. Computed when read; prints as a table.

    Costs are for the whole model: under tensor parallelism, every rank reports the same costs but holds only its share.
    """

    def __init__(self, trace: PassTrace, dimensions: ModelDimensions) -> None:
        self._trace, self._dimensions = trace, dimensions

    @cached_property
    def kept(self) -> dict[int, list[Tensor]]:
        """By stage layer and sample, positions of the vision tokens left after the stage: int64 [n], on the CPU.

        Positions are those of the padded input, counted from the start of the cache.
        """
        return {layer: self._kept_after(rows) for layer, rows in self._trace.kept.items()}

    def _kept_after(self, rows: KeptTokens | None) -> list[Tensor]:
        alive = self._trace.vision_mask
        columns = torch.arange(alive.shape[1], device=alive.device).expand_as(alive)
        if rows is not None:
            index = rows.positions.to(alive.device)
            alive, columns = alive.gather(1, index), index
            if rows.is_token is not None:
                alive = alive & rows.is_token.to(alive.device)
        return [(row[mask] + self._trace.past).cpu() for row, mask in zip(columns, alive, strict=True)]

    @property
    def vision_tokens(self) -> list[int]:
        """Vision tokens of each sample."""
        return list(self._trace.vision_counts)

    @property
    def tokens_per_layer(self) -> list[float]:
        """Vision tokens that each layer processed, averaged over samples."""
        return [sum(alive) / len(alive) for alive in self._alive]

    @property
    def tokens_kept(self) -> list[float]:
        """Vision tokens left in each sample, averaged over layers: the budget that papers quote."""
        return [sum(alive) / len(alive) for alive in zip(*self._alive, strict=True)]

    @property
    def _alive(self) -> list[list[int]]:
        """Vision tokens of each sample that each layer processed."""
        return [latest(self._trace.alive, layer) or self._trace.vision_counts for layer in self._layers]

    @property
    def _layers(self) -> range:
        return range(self._dimensions.num_layers)

    @property
    def retained(self) -> float:
        """Share of vision tokens left, averaged over layers and pooled over samples."""
        total = sum(self._trace.vision_counts) * self._dimensions.num_layers
        return sum(map(sum, self._alive)) / total if total else 1.0

    @cached_property
    def nonfinite(self) -> int:
        """How many scores were NaN or infinite. Such tokens stay; the model's hidden states were wrong already."""
        return sum(int(count) for count in self._trace.nonfinite)

    @property
    def flops(self) -> Cost:
        """Floating-point operations of the decoder layers for this forward pass, padding included."""
        samples, length = self._trace.vision_mask.shape
        dense = layer_flops(self._dimensions, length, self._trace.past + length) * len(self._layers)
        pairs = zip(self._trace.queries, self._trace.keys, strict=True)
        dropped = sum(layer_flops(self._dimensions, queries, keys) for queries, keys in pairs)
        return Cost(samples * dense, samples * dropped)

    @property
    def kv_bytes(self) -> Cost:
        """Bytes that the KV cache holds after this forward pass (or would hold), padding included."""
        samples, length = self._trace.vision_mask.shape
        size = self._trace.element_size
        dense = layer_kv_bytes(self._dimensions, self._trace.past + length, size) * len(self._layers)
        dropped = sum(layer_kv_bytes(self._dimensions, keys, size) for keys in self._trace.keys)
        return Cost(samples * dense, samples * dropped)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {
            "vision_tokens": self.vision_tokens,
            "retained": self.retained,
            "tokens_per_layer": self.tokens_per_layer,
            "kept": {layer: [sample.tolist() for sample in samples] for layer, samples in self.kept.items()},
            "flops": self.flops._asdict(),
            "kv_bytes": self.kv_bytes._asdict(),
            "nonfinite": self.nonfinite,
        }

    def __str__(self) -> str:
        samples = len(self.vision_tokens)
        lines = [f"{sum(self.vision_tokens)} vision tokens in {samples} sample{'s' * (samples > 1)}"]
        lines += ["layers     vision tokens (mean)"]
        starts = [0, *self._trace.kept]
        for start, stop in zip(starts, [*starts[1:], len(self._layers)], strict=True):
            lines.append(f"{start:>4} - {stop - 1:<4}{self.tokens_per_layer[start]:>10.1f}")
        lines.append(f"retained   {self.retained:.1%} of the vision tokens, averaged over layers")
        lines.append(f"FLOPs      {self.flops.dropped:.3g} of {self.flops.dense:.3g} ({self.flops.ratio:.1%})")
        lines.append(f"KV bytes   {self.kv_bytes.dropped:.3g} of {self.kv_bytes.dense:.3g} ({self.kv_bytes.ratio:.1%})")
        if self.nonfinite:
            lines.append(
                f"WARNING    {self.nonfinite} scores were NaN or infinite: the model overflows (try bfloat16 or float32)"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"DropReport(vision_tokens={self.vision_tokens}, retained={self.retained:.3f})"
