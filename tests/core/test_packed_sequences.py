"""What flash attention tells packed sequences by, for shortened rows."""

from __future__ import annotations

import torch

from v2drop.hf.packed_sequences import renumber_packed
from v2drop.kept_tokens import KeptTokens

ROWS = KeptTokens(torch.tensor([[0, 2, 3, 4, 7]]), None)


def test_positions_of_each_sequence_are_counted_anew():
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4]])
    assert renumber_packed({"position_ids": positions}, ROWS)["position_ids"].tolist() == [[0, 1, 0, 1, 2]]


def test_one_sequence_runs_on():
    """Also a later chunk's, whose positions do not start at 0."""
    assert renumber_packed({"position_ids": torch.arange(5, 13)[None]}, ROWS)["position_ids"].tolist() == [
        [0, 1, 2, 3, 4]
    ]


def test_ends_of_sequences_move_with_what_was_dropped():
    ends = torch.tensor([0, 3, 8], dtype=torch.int32)
    short = renumber_packed({"cu_seq_lens_q": ends, "cu_seq_lens_k": ends}, ROWS)
    for name in ("cu_seq_lens_q", "cu_seq_lens_k"):
        assert short[name].tolist() == [0, 2, 5]
        assert short[name].dtype == torch.int32


def test_batches_are_not_packed():
    rows = KeptTokens(torch.tensor([[0, 1], [1, 2]]), None)
    assert renumber_packed({"position_ids": torch.arange(3).expand(2, -1)}, rows) == {"position_ids": None}
    assert renumber_packed({}, rows) == {}
