"""Masks for shortened rows, in each form that transformers uses."""

from __future__ import annotations

import torch

from v2drop import KeptTokens
from v2drop.hf.inputs import padding_of
from v2drop.hf.masks import shorten_mask

WHOLE = {"past": 0, "before": 0, "length": 3}
QUERIES = KeptTokens(torch.tensor([[0, 2, 1], [0, 1, 2]]), torch.tensor([[True, True, False], [True, True, True]]))
CAUSAL = torch.ones(3, 3, dtype=torch.bool).tril().expand(2, 1, 3, 3)
EXPECTED = torch.tensor(
    [
        [[True, False, False], [True, True, False], [True, False, True]],  # the filler sees itself and what it may
        [[True, False, False], [True, True, False], [True, True, True]],
    ]
)[:, None]


def test_bool_masks_are_gathered_and_fillers_hidden():
    assert torch.equal(shorten_mask(CAUSAL, QUERIES, QUERIES, **WHOLE, attention="sdpa"), EXPECTED)


def test_additive_masks_are_gathered_and_fillers_hidden():
    least = torch.finfo(torch.float32).min
    stock = torch.zeros(2, 1, 3, 3).masked_fill(~CAUSAL, least)
    short = shorten_mask(stock, QUERIES, QUERIES, **WHOLE, attention="eager")
    assert torch.equal(short == 0, EXPECTED)
    assert torch.equal(short == least, ~EXPECTED)


def test_a_mask_is_made_only_where_rows_are_ragged():
    even = KeptTokens(torch.tensor([[0, 2], [1, 2]]), None)
    assert shorten_mask(None, even, even, **WHOLE, attention="sdpa") is None
    made = shorten_mask(None, QUERIES, QUERIES, **WHOLE, attention="sdpa")
    seen_by_real = QUERIES.is_token[:, None, :, None] & made
    assert torch.equal(seen_by_real, QUERIES.is_token[:, None, :, None] & EXPECTED)
    assert made.any(-1).all()


def test_flash_attention_gets_real_keys_as_two_dimensions():
    assert torch.equal(
        shorten_mask(None, QUERIES, QUERIES, **WHOLE, attention="flash_attention_2"),
        QUERIES.is_token,
    )
    padding = torch.tensor([[1, 1, 1], [0, 1, 1]])
    assert shorten_mask(padding, QUERIES, QUERIES, **WHOLE, attention="flash_attention_2").tolist() == [
        [1, 1, 0],
        [0, 1, 1],
    ]


def test_a_decode_step_sees_the_keys_that_a_layer_holds():
    keys = KeptTokens(torch.tensor([[0, 2, 3], [0, 1, 3]]), torch.tensor([[True, True, True], [True, False, True]]))
    stock = torch.tensor([[[[True, True, True, True]]], [[[False, True, True, True]]]])
    assert shorten_mask(stock, None, keys, past=3, before=2, length=1, attention="sdpa").flatten(1).tolist() == [
        [True, True, True],
        [False, False, True],
    ]
    assert shorten_mask(None, None, keys, past=3, before=2, length=1, attention="sdpa").flatten(1).tolist() == [
        [True, True, True],
        [True, False, True],
    ]


def test_masks_with_a_head_dimension_keep_it():
    stock = CAUSAL.expand(2, 4, 3, 3)
    assert torch.equal(shorten_mask(stock, QUERIES, QUERIES, **WHOLE, attention="sdpa"), EXPECTED.expand(2, 4, 3, 3))


def test_a_static_cache_shows_its_chunk_in_the_middle_and_nothing_behind_it():
    """Two positions held before, a chunk of two of which the second sample has one, and two columns that are still free."""
    index = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 2, 4, 5]])
    keys = KeptTokens(index, torch.tensor([[True] * 6, [True, True, True, False, True, True]]))
    queries = KeptTokens(torch.tensor([[0, 1], [0, 0]]), torch.tensor([[True, True], [True, False]]))
    stock = torch.arange(6) <= torch.tensor([2, 3])[:, None]
    short = shorten_mask(stock.expand(2, 1, 2, 6), queries, keys, past=2, before=2, length=2, attention="sdpa")
    assert short[0, 0].int().tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert short[1, 0].int().tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]]  # the filler sees itself at column 3
    assert torch.equal(shorten_mask(None, queries, keys, past=2, before=2, length=2, attention="sdpa"), short)


def test_padding_is_what_no_row_sees():
    """In packed sequences the last row sees its own sequence alone; the others are no padding for that."""
    packed = torch.block_diag(torch.ones(2, 2), torch.ones(3, 3)).bool().tril()
    padded = torch.nn.functional.pad(packed, (1, 0, 1, 0))[None, None]
    real = [[False, True, True, True, True, True]]
    additive = torch.zeros(1, 1, 6, 6).masked_fill(~padded, -1e9)
    for mask in (padded, additive, {"full_attention": padded}):
        assert padding_of(mask, 0, 1, 6).tolist() == real
    assert padding_of(None, 0, 1, 6) is None
    assert padding_of(padded[0], 0, 1, 6) is None  # the stock model says what is wrong with it


def test_what_weighs_less_is_no_padding():
    """So with additive masks that hide nothing, and with heads that hide different things."""
    softer = torch.full((1, 1, 2, 2), -0.5)
    assert padding_of(softer, 0, 1, 2).tolist() == [[True, True]]
    by_head = torch.stack([torch.tensor([[1, 0], [1, 0]]), torch.tensor([[0, 1], [0, 1]])])[None].bool()
    assert padding_of(by_head, 0, 1, 2).tolist() == [[True, True]]


def test_a_padding_mask_runs_over_positions_from_the_cache_s_start():
    mask = torch.tensor([[1, 1, 0, 1, 1]])
    assert padding_of(mask, 2, 1, 3).tolist() == [[False, True, True]]
    assert padding_of(mask, 0, 1, 3).tolist() == [[True, True, False]]  # longer than the chunk: of a static cache
    assert padding_of(mask, 4, 1, 2).tolist() == [[True, False]]  # shorter: stock models hide what it does not reach
    assert padding_of(mask, 0, 2, 5).tolist() == [[True, True, False, True, True]] * 2
