"""What is remembered on a cache between calls."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers import LlamaConfig, StaticCache

from v2drop import CacheError, KeptTokens
from v2drop.hf.caches import FirstColumns, check_cache
from v2drop.runtime.cache_record import CacheRecord

OLDEST = transformers.__version__.startswith("5.0.")


def rows(*columns, valid=None):
    return KeptTokens(torch.tensor(columns), None if valid is None else torch.tensor(valid))


def test_nothing_dropped_is_an_empty_memory():
    memory = CacheRecord.of(SimpleNamespace())
    assert memory.keys(5, past=3, new=2, rows=None) is None
    assert CacheRecord.of(None).held == {}


def test_a_chunk_then_text_then_another_chunk():
    cache = SimpleNamespace()
    CacheRecord().extended(0, 5, {2: rows([0, 3, 4])}, 5).store(cache)
    memory = CacheRecord.of(cache)
    assert memory.keys(1, 5, 1, None) is None
    assert memory.keys(2, 5, 1, None).positions.tolist() == [[0, 3, 4, 5]]
    assert memory.keys(4, 7, 2, None).positions.tolist() == [[0, 3, 4, 5, 6, 7, 8]]  # text turns wrote nothing
    later = memory.extended(7, 3, {2: rows([0, 2]), 4: rows([2])}, 3)
    assert later.length == 10
    assert later.keys(2, 10, 1, None).positions.tolist() == [[0, 3, 4, 5, 6, 7, 9, 10]]
    assert later.keys(4, 10, 1, None).positions.tolist() == [[0, 3, 4, 5, 6, 9, 10]]


def test_a_stage_unknown_to_the_earlier_chunk_starts_from_what_its_layer_holds():
    memory = CacheRecord().extended(0, 4, {3: rows([0, 3])}, 4)
    later = memory.extended(4, 2, {1: rows([1]), 5: rows([1])}, 2)
    assert later.keys(1, 6, 0, None).positions.tolist() == [[0, 1, 2, 3, 5]]
    assert later.keys(3, 6, 0, None).positions.tolist() == [[0, 3, 5]]
    assert later.keys(5, 6, 0, None).positions.tolist() == [[0, 3, 5]]


def test_fillers_stay_marked():
    memory = CacheRecord().extended(0, 3, {1: rows([0, 1], [0, 2], valid=[[True, False], [True, True]])}, 3)
    keys = memory.keys(1, 4, 1, None)
    assert keys.is_token.tolist() == [[True, False, True, True], [True, True, True, True]]


class Layer:
    """A layer of a cache that grows, as transformers has it."""

    def __init__(self, samples, length):
        self.keys = self.values = torch.zeros(samples, 1, length, 2)

    def get_seq_length(self):
        return self.keys.shape[2]


def filled_cache(*lengths):
    return SimpleNamespace(layers=[Layer(1, length) for length in lengths])


def test_cropped_caches_and_other_batches_are_refused():
    memory = CacheRecord().extended(0, 5, {2: rows([0, 3, 4])}, 5)
    memory.sync_with(filled_cache(5, 5, 3), 5, 1)
    with pytest.raises(CacheError, match="holds 4 positions"):
        memory.sync_with(filled_cache(4, 4, 3), 4, 1)
    with pytest.raises(CacheError, match="this call has 2 samples"):
        memory.sync_with(filled_cache(5, 5, 3), 5, 2)
    CacheRecord().sync_with(None, 0, 7)


def test_a_crop_to_an_absolute_length_reaches_shortened_layers_too():
    """transformers 5.0: cropping to 6 positions leaves a layer of 5 keys as it is, though one of them is beyond."""
    memory = CacheRecord().extended(0, 5, {2: rows([0, 3, 4])}, 5)
    cache = filled_cache(6, 6, 5)
    memory.sync_with(cache, 6, 1)
    assert [layer.keys.shape[2] for layer in cache.layers] == [6, 6, 4]
    assert [layer.values.shape[2] for layer in cache.layers] == [6, 6, 4]


def test_text_behind_the_last_picture_can_be_cropped_away():
    """Two samples of 7 positions, of which 1 to 3 are vision tokens; the second kept one token less, and has a filler."""
    held = rows([0, 2, 4, 5, 6], [0, 4, 5, 6, 1], valid=[[True] * 5, [True, True, True, True, False]])
    memory = CacheRecord().extended(0, 7, {2: held}, 4)
    for lengths in ((5, 5, 3), (5, 5, 5)):  # layers that noticed the crop (5.1 and later), and that did not
        cache = SimpleNamespace(layers=[Layer(2, length) for length in lengths])
        memory.store(cache)
        cropped = memory.sync_with(cache, 5, 2)
        assert CacheRecord.of(cache) is cropped
        assert cropped.length == 5
        assert cropped.held[2].positions.tolist() == [[0, 2, 4], [0, 4, 4]]
        assert cropped.held[2].is_token.tolist() == [[True] * 3, [True, True, False]]
        assert [layer.keys.shape[2] for layer in cache.layers] == [5, 5, 3]
        assert cropped.keys(2, 5, 1, None).positions.tolist() == [[0, 2, 4, 5], [0, 4, 4, 5]]
    with pytest.raises(CacheError, match="holds 3 positions"):
        memory.sync_with(cache, 3, 2)


def test_a_crop_that_takes_text_away_for_padding_is_refused():
    """Of 7 positions 5 and 6 are padding, which left layer 2 along with vision tokens: its last columns are text."""
    memory = CacheRecord().extended(0, 7, {2: rows([0, 3, 4])}, 3)
    with pytest.raises(CacheError, match="padded on the left"):
        memory.sync_with(filled_cache(5, 5, 1), 5, 1)


def test_an_emptied_cache_is_forgotten():
    """Also where fillers stand in for whatever one sample lost, so that layers are as long as before."""
    cache = filled_cache(0, 0, 0)
    for kept in (rows([0, 3, 4]), rows([0, 1, 2, 3, 4], valid=[[True] * 4 + [False]])):
        CacheRecord().extended(0, 5, {2: kept}, 5).store(cache)
        assert CacheRecord.of(cache).sync_with(cache, 0, 1).held == {}
        assert CacheRecord.of(cache).held == {}
        CacheRecord.forget(cache)


def test_caches_that_forget_are_refused():
    with pytest.raises(CacheError, match="without sliding windows"):
        check_cache(SimpleNamespace(layers=[SimpleNamespace(is_sliding=True)]))
    check_cache(SimpleNamespace(layers=[SimpleNamespace(is_sliding=False)]))
    check_cache(None)


def test_behind_what_a_static_layer_holds_stand_the_positions_that_will_follow():
    """Of 16 columns a layer that lost 7 of 10 positions can fill 9; they are rounded up to eighths."""
    memory = CacheRecord().extended(0, 10, {2: rows([0, 8, 9])}, 5, columns=16)
    assert memory.keys(1, 10, 1, None) is None
    assert memory.keys(2, 10, 1, None).positions.tolist() == [[0, 8, 9, 10]]
    for keys in (memory.keys(2, None, 1, None), memory.keys(3, None, 1, None)):
        assert keys.positions.tolist() == [[0, 8, 9, 10, 11, 12, 13, 14, 15, 15]]
        assert keys.is_token.tolist() == [[True] * 9 + [False]]
    assert memory.keys(1, None, 1, None) is None
    assert memory.missing(1) == 0
    assert memory.missing(2) == 7


def test_a_shortened_layer_sees_the_first_columns_of_a_static_cache():
    cache = StaticCache(config=LlamaConfig(num_hidden_layers=2), max_cache_len=6)
    seen = FirstColumns(cache, 4)
    parts = [torch.randn(1, 2, 3, 5) for _ in range(2)]
    options = {"cache_kwargs": {"cache_position": torch.arange(3)}} if OLDEST else {}
    for part, found in zip(parts, seen.update(*parts, 1, **options), strict=True):
        assert torch.equal(found[:, :, :3], part)
        assert found.shape[2] == 4
    assert cache.layers[1].keys.shape[2] == 6
    assert seen.layers is cache.layers
