"""The method over plain tensors: who stays, ties, raggedness, restoring."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from v2drop import ProgressiveDropper, Schedule, UsageError, VisionMaskError


def walk(schedule, vision, inputs, real=None):
    """Feed given layer inputs [L, B, S, H] through a dropper, each shortened as the earlier stages left it."""
    dropper = ProgressiveDropper(schedule, vision, attention_mask=real)
    for layer, hidden in enumerate(inputs):
        left = dropper.before_layer(layer, dropper.gather(hidden))
    return dropper, left


def by_hand(schedule, vision, real, inputs):
    """Alive vision positions per stage and sample, by the rules of the method and nothing else."""
    kept = {}
    last = [int(row.nonzero()[-1]) if row.any() else -1 for row in real]
    alive = [[c for c in range(vision.shape[1]) if v[c] and r[c]] for v, r in zip(vision, real, strict=True)]
    for stage in schedule.stages:
        change = (inputs[stage.layer] - inputs[stage.layer - 1]).norm(dim=-1)
        for b, columns in enumerate(alive):
            candidates = [c for c in columns if c != last[b]]
            k = min(len(candidates), max(schedule.min_tokens, int(len(candidates) * stage.keep)))
            chosen = sorted(candidates, key=lambda c, b=b: (-float(change[b, c]), c))[:k]
            alive[b] = sorted([*chosen, *(c for c in columns if c == last[b])])
        kept[stage.layer] = [list(columns) for columns in alive]
    return kept


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_the_largest_variations_stay(data):
    samples, length = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    seed = data.draw(st.integers(0, 10_000))
    layers = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).map(sorted))
    keeps = data.draw(st.lists(st.floats(0, 1), min_size=3, max_size=3))
    schedule = Schedule(zip(layers, keeps, strict=False), min_tokens=data.draw(st.integers(0, 2)))
    generator = torch.Generator().manual_seed(seed)
    vision = torch.rand(samples, length, generator=generator) < 0.6
    real = torch.ones_like(vision)
    for row in range(samples):
        padding = int(torch.randint(0, length, (), generator=generator))
        real[row, :padding] = seed % 2 == 0
        real[row, length - padding :] &= seed % 2 != 0 or padding == 0
    # a grid of values, so that ties are frequent
    inputs = torch.randint(0, 3, (6, samples, length, 2), generator=generator).float()
    dropper, left = walk(schedule, vision, inputs, real)
    expected = by_hand(schedule, vision, real, inputs)
    for layer, rows in dropper.kept.items():
        for b in range(samples):
            index = torch.arange(length) if rows is None else rows.positions[b]
            valid = real[b][index] if rows is None or rows.is_token is None else rows.is_token[b]
            found = [int(c) for c, ok in zip(index, valid, strict=True) if ok and vision[b, c]]
            assert found == [c for c in expected[layer][b] if real[b, c]]
            assert dropper.alive[layer][b] == len(expected[layer][b])
    restored = dropper.restore(left)
    assert restored.shape == (samples, length, 2)
    survivors = torch.zeros(samples, length, dtype=torch.bool)
    for b in range(samples):
        survivors[b] = real[b] & ~vision[b]
        survivors[b, expected[layers[-1]][b]] = True
    assert torch.equal(restored[survivors], inputs[-1][survivors])
    if dropper.rows is not None:
        assert (restored[~survivors] == 0).all()


def test_between_equal_scores_the_earlier_position_stays():
    vision = torch.tensor([[False, True, True, True, True, False]])
    inputs = torch.zeros(2, 1, 6, 3)
    dropper, _ = walk(Schedule([(1, 0.5)]), vision, inputs)
    assert dropper.rows.positions.tolist() == [[0, 1, 2, 5]]


def test_the_last_real_token_is_never_dropped():
    vision = torch.tensor([[False, True, True, True], [False, True, True, True]])
    real = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    dropper, _ = walk(Schedule([(1, 0.0)]), vision, torch.randn(2, 2, 4, 3), real)
    assert dropper.rows.positions.tolist() == [[0, 3], [0, 2]]
    assert dropper.alive == {1: [1, 1]}


def test_fillers_hold_finite_values_and_are_marked():
    vision = torch.tensor([[False, True, True, True, False], [False] * 5])
    dropper, left = walk(Schedule([(1, 0.34)]), vision, torch.randn(2, 2, 5, 3))
    assert left.shape == (2, 5, 3)
    assert dropper.rows.is_token.tolist() == [[True, True, True, False, False], [True] * 5]
    assert left.isfinite().all()


def test_padding_leaves_with_the_first_tokens_dropped():
    vision = torch.tensor([[False, True, True, True, True, False, False, False]])
    real = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]])
    dropper, left = walk(Schedule([(1, 0.5)]), vision, torch.randn(2, 1, 8, 3), real)
    assert left.shape[1] == 4
    assert dropper.rows.is_token is None


def test_keep_everything_returns_the_very_same_tensor():
    hidden = torch.randn(1, 4, 3)
    dropper = ProgressiveDropper(Schedule([(1, 1.0)]), torch.tensor([[False, True, True, False]]))
    dropper.before_layer(0, hidden)
    assert dropper.before_layer(1, hidden) is hidden
    assert dropper.restore(hidden) is hidden


def test_a_layer_left_out_is_an_error():
    dropper = ProgressiveDropper(Schedule([(2, 0.5)]), torch.tensor([[True, True, False]]))
    dropper.before_layer(0, torch.randn(1, 3, 2))
    with pytest.raises(UsageError, match=r"before_layer\(1\)"):
        dropper.before_layer(2, torch.randn(1, 3, 2))


@pytest.mark.parametrize(
    ("vision", "real", "quoted"),
    [
        (torch.ones(1, 3), None, "float32"),
        (torch.ones(3, dtype=torch.bool), None, r"\[3\]"),
        ([True], None, "True"),
        (torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 4), r"\[1, 4\]"),
    ],
)
def test_wrong_masks_are_refused(vision, real, quoted):
    with pytest.raises(VisionMaskError, match=quoted):
        ProgressiveDropper(Schedule([(1, 0.5)]), vision, attention_mask=real)


def test_input_that_does_not_hold_the_rows_left_is_an_error():
    vision = torch.tensor([[False, True, True, True, False]])
    dropper, _ = walk(Schedule([(1, 0.0)]), vision, torch.randn(2, 1, 5, 3))
    with pytest.raises(UsageError, match="2 columns are left"):
        dropper.before_layer(0, torch.randn(1, 5, 3))  # a second forward pass
    with pytest.raises(UsageError, match=r"\[1, 4, 3\]"):
        ProgressiveDropper(Schedule([(1, 0.0)]), vision).before_layer(0, torch.randn(1, 4, 3))


def test_gather_takes_the_same_rows_from_any_tensor():
    vision = torch.tensor([[False, True, True, False], [False, False, True, True]])
    dropper, _ = walk(Schedule([(1, 0.0)]), vision, torch.randn(2, 2, 4, 3))
    shared = torch.arange(4.0).view(1, 4, 1)
    assert dropper.gather(shared)[..., 0].tolist() == [[0, 3, 1], [0, 1, 3]]
    axes = torch.arange(24.0).view(3, 2, 4)
    assert torch.equal(dropper.gather(axes, dim=2)[:, 1], axes[:, 1][:, [0, 1, 3]])
