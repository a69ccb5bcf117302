"""Ragged bookkeeping: which of a chunk's original columns the shortened, still rectangular rows hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Shortened rows of a batch: where each came from, and which are real.

    Attributes:
        index: int64 [B, Q], the original column of each row, ascending over a sample's real rows.
        valid: bool [B, Q], False at fillers, or None where no sample has any. A filler repeats a column that this
            sample no longer needs, so its values are finite; nothing but itself may attend to it.
    """

    index: Tensor
    valid: Tensor | None

    @classmethod
    def select(cls, keep: Tensor, counts: Sequence[int]) -> Rows:
        """Rows that hold the columns marked in `keep`, bool [B, N], in their order; `counts[b]` are marked in sample b."""
        length = max(1, *counts)
        index = torch.sort(~keep, dim=1, stable=True).indices[:, :length]
        ragged = min(counts) < length
        return cls(index, keep.gather(1, index) if ragged else None)

    @classmethod
    def every(cls, start: int, stop: int, like: Tensor) -> Rows:
        """All columns from `start` to `stop`, for the samples of `like`, an index [B, Q], and on its device."""
        return cls(torch.arange(start, stop, device=like.device).expand(like.shape[0], -1), None)

    def of_samples(self, samples: Tensor) -> Rows:
        """The rows of some samples, int64 [B], in this order."""
        index, valid = (None if each is None else each[samples.to(each.device)] for each in (self.index, self.valid))
        assert index is not None
        return Rows(index, valid)

    def within(self, outer: Rows | None) -> Rows:
        """These rows, which index into `outer`'s rows, as rows of the original columns."""
        if outer is None:
            return self
        return Rows(outer.index.to(self.index.device).gather(1, self.index), self.valid)

    def gather(self, tensor: Tensor, dim: int = 1) -> Tensor:
        """Take these rows from `tensor`, whose `dim` runs over original columns and whose first dimension over samples.

        A first dimension of 1 (rotary embeddings shared by the batch) is expanded to the batch; with `dim` > 1 the
        batch is the dimension before `dim` (Qwen2-VL's [3, B, S, D]).
        """
        if tensor.device != self.index.device:
            return Rows(self.index.to(tensor.device), None).gather(tensor, dim)
        batch_dim = dim - 1
        if self.index.shape[0] == 1 and tensor.shape[batch_dim] == 1:
            return tensor.index_select(dim, self.index[0])
        samples = torch.arange(self.index.shape[0], device=tensor.device)[:, None]
        shape = list(tensor.shape)
        shape[batch_dim] = self.index.shape[0]
        where: tuple[slice | Tensor, ...] = (*[slice(None)] * batch_dim, samples, self.index)
        return tensor.expand(shape)[where]

    def scatter(self, hidden_states: Tensor, length: int) -> Tensor:
        """Put rows [B, Q, H] back to their original columns of [B, length, H], with zeros everywhere else."""
        if self.valid is not None:
            hidden_states = hidden_states.masked_fill(~self.valid.to(hidden_states.device)[..., None], 0)
        index = self.index.to(hidden_states.device)
        full = hidden_states.new_zeros(hidden_states.shape[0], length, hidden_states.shape[2])
        if index.shape[0] == 1:
            return full.index_copy(1, index[0], hidden_states)
        samples = torch.arange(index.shape[0], device=index.device)[:, None]
        return full.index_put((samples, index), hidden_states)
