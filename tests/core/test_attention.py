"""Which keys a few rows see, in each form that a layer's mask takes."""

from __future__ import annotations

import torch

from v2drop.hf.attention import visible_keys

ROWS = torch.tensor([[2, 0], [1, 3]])  # of four


def seen(mask, before=0, rows=ROWS, positions=None):
    """The keys that each row sees, as text."""
    visible = visible_keys(mask, rows, before, 4, positions)
    return [["".join(str(int(key)) for key in row) for row in sample] for sample in visible]


def test_without_a_mask_rows_see_what_stands_before_them_and_themselves():
    assert seen(None) == [["1110", "1000"], ["1100", "1111"]]
    assert seen(None, before=2) == [["111110", "111000"], ["111100", "111111"]]


def test_padding_is_not_seen():
    real = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0]])
    assert seen(real) == [["0110", "0000"], ["1100", "1110"]]
    longer = torch.tensor([[0, 1, 1, 1, 1, 1, 1, 1]] * 2)  # of a static cache, whose end is still free
    assert seen(longer, before=2) == [["011110", "011000"], ["011100", "011111"]]


def test_boolean_and_additive_masks_say_it_themselves():
    mask = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]], dtype=torch.bool)[None, None]
    expected = [["1010", "1000"], ["0100", "0011"]]
    assert seen(mask) == expected
    for dtype in (torch.float32, torch.bfloat16):
        assert seen(torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)) == expected


def test_packed_sequences_do_not_see_each_other():
    rows = torch.tensor([[1, 2, 3]])
    assert seen(None, rows=rows, positions=torch.tensor([[0, 1, 0, 1]])) == [["1100", "0010", "0011"]]
    assert seen(None, rows=rows, positions=torch.tensor([[0, 1, 2, 3]])) == [["1100", "1110", "1111"]]
