"""The original positions that a shortened batch still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from .renamed import moved_attribute, moved_names

Value = TypeVar("Value")


@dataclass(frozen=True)
class KeptTokens:
    """The tokens that are left in a batch, as a rectangle: samples with fewer tokens are padded.

    Attributes:
        positions: int64 [B, Q], the original position of each token, ascending over a sample's real tokens.
        is_token: bool [B, Q], False at padding slots, or None if there are none. A padding slot repeats a position
            that this sample no longer needs, so its values are finite; nothing but itself may attend to it.
    """

    positions: Tensor
    is_token: Tensor | None

    index = moved_attribute("KeptTokens", "index", "positions")
    valid = moved_attribute("KeptTokens", "valid", "is_token")

    @classmethod
    def select(cls, keep: Tensor, counts: Sequence[int]) -> KeptTokens:
        """The tokens marked in `keep`, bool [B, N], in order; `counts[b]` of them are marked in sample b."""
        length = max(1, *counts)
        positions = torch.sort(~keep, dim=1, stable=True).indices[:, :length]
        ragged = min(counts) < length
        return cls(positions, keep.gather(1, positions) if ragged else None)

    @classmethod
    def every(cls, start: int, stop: int, like: Tensor) -> KeptTokens:
        """All positions from `start` to `stop`, with the batch size and device of `like`, positions [B, Q]."""
        return cls(torch.arange(start, stop, device=like.device).expand(like.shape[0], -1), None)

    def of_samples(self, samples: Tensor) -> KeptTokens:
        """The tokens of the samples with these numbers, int64 [B], in this order."""
        is_token = self.is_token
        return KeptTokens(
            self.positions[samples.to(self.positions.device)],
            None if is_token is None else is_token[samples.to(is_token.device)],
        )

    def within(self, outer: KeptTokens | None) -> KeptTokens:
        """These tokens with original positions; before, their positions index the tokens of `outer`."""
        if outer is None:
            return self
        return KeptTokens(outer.positions.to(self.positions.device).gather(1, self.positions), self.is_token)

    def gather(self, tensor: Tensor, dim: int = 1) -> Tensor:
        """Take these tokens from `tensor`. Its `dim` runs over original positions, the dimension before over samples.

        A batch dimension of 1 (rotary embeddings shared by the batch) is expanded. `dim` is 2 for Qwen2-VL's
        [3, B, S, D].
        """
        if tensor.device != self.positions.device:
            return KeptTokens(self.positions.to(tensor.device), None).gather(tensor, dim)
        batch_dim = dim - 1
        if self.positions.shape[0] == 1 and tensor.shape[batch_dim] == 1:
            return tensor.index_select(dim, self.positions[0])
        samples = torch.arange(self.positions.shape[0], device=tensor.device)[:, None]
        shape = list(tensor.shape)
        shape[batch_dim] = self.positions.shape[0]
        where: tuple[slice | Tensor, ...] = (*[slice(None)] * batch_dim, samples, self.positions)
        return tensor.expand(shape)[where]

    def scatter(self, hidden_states: Tensor, length: int) -> Tensor:
        """Put tokens [B, Q, H] back at their original positions in [B, length, H], with zeros elsewhere."""
        if self.is_token is not None:
            hidden_states = hidden_states.masked_fill(~self.is_token.to(hidden_states.device)[..., None], 0)
        positions = self.positions.to(hidden_states.device)
        full = hidden_states.new_zeros(hidden_states.shape[0], length, hidden_states.shape[2])
        if positions.shape[0] == 1:
            return full.index_copy(1, positions[0], hidden_states)
        samples = torch.arange(positions.shape[0], device=positions.device)[:, None]
        return full.index_put((samples, positions), hidden_states)


def latest(by_layer: Mapping[int, Value], layer: int) -> Value | None:
    """The entry of the last layer up to and including `layer`; None if there is none."""
    layers = [key for key in by_layer if key <= layer]
    return by_layer[max(layers)] if layers else None


__getattr__ = moved_names("v2drop.kept_tokens", {"Rows": "KeptTokens"})
