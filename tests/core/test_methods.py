"""Methods over plain tensors: what each keeps, how budgets become schedules, and what is said of mistakes."""

from __future__ import annotations

import pytest
import torch

import v2drop
from v2drop import Method, ProgressiveDropper, Schedule
from v2drop.methods import make_method
from v2drop.methods.dart import DART
from v2drop.methods.random_baseline import Random
from v2drop.methods.sparsevlm import SparseVLM

VISION = torch.tensor([[False, *[True] * 8, False], [True] * 4 + [False] * 6])


class Told:
    """What a layer would tell, made up."""

    def __init__(self, weights=None, keys=None):
        self.weights, self.made = weights, keys

    def attention(self, rows):
        samples = torch.arange(len(rows))[:, None]
        return self.weights.transpose(1, 2)[samples, rows].transpose(1, 2)

    def keys(self):
        return self.made


def kept(method, schedule=((1, 0.5),), probe=None, hidden=None, **masks):
    """The vision columns of each sample that are left after all stages."""
    dropper = ProgressiveDropper(Schedule(schedule), VISION, method=method, **masks)
    if hidden is None:
        hidden = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0))
    for layer in range(schedule[-1][0] + 1):
        hidden = dropper.before_layer(layer, hidden, None if probe is None else lambda _: probe)
    index, valid = dropper.rows.positions, dropper.rows.is_token
    left = [row if valid is None else row[real] for row, real in zip(index, valid, strict=True)]
    return [[int(column) for column in row if VISION[sample, column]] for sample, row in enumerate(left)]


def test_all_methods_are_found():
    assert {"dart", "dense", "fastv", "pyramiddrop", "random", "sparsevlm", "uniform", "v2drop"} <= set(
        v2drop.methods()
    )
    for name, kind in v2drop.methods().items():
        assert kind.name == name
        assert isinstance(make_method(name), Method)


def test_uniform_dropping_is_spread_evenly():
    assert kept("uniform") == [[2, 4, 6, 8], [1, 3]]
    assert kept("uniform", [(1, 0.26)]) == [[4, 8], [3]]
    assert kept("uniform", [(1, 0.5), (2, 0.5)]) == [[4, 8], [3]]


def test_random_dropping_depends_on_the_seed_and_the_place_alone():
    first = kept("random")
    assert kept(Random(), hidden=torch.zeros(2, 10, 4)) == first
    assert len({tuple(kept(Random(seed=seed))[0]) for seed in range(8)}) > 4
    shifted = torch.tensor([[False, False, *[True] * 8, False]])
    dropper = ProgressiveDropper(Schedule([(1, 0.5)]), shifted, method="random")
    for layer in range(2):
        left = dropper.before_layer(layer, torch.zeros(1, 11, 4))
    assert left.shape[1] == 7
    assert [int(c) - 1 for c in dropper.rows.positions[0] if shifted[0, c]] == first[0]


def test_random_numbers_are_spread_evenly():
    rank = torch.arange(10_000)[None]
    context = type("Context", (), {"rank": rank, "layer": 3})
    numbers = Random(seed=5).score(context)
    assert numbers.dtype == torch.float32
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() <= 1
    assert abs(numbers.mean() - 0.5) < 0.01


def test_attention_from_the_last_token_decides():
    weights = torch.zeros(2, 3, 10, 10)
    weights[0, :, 9, [2, 5, 7, 8]] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    weights[1, 0, 9, 3], weights[1, 2, 9, 1] = 0.5, 0.4
    weights[:, :, 4, 0:4] = 1.0  # what other rows attend to makes no difference
    for name in ("fastv", "pyramiddrop"):
        assert kept(name, probe=Told(weights)) == [[2, 5, 7, 8], [1, 3]]


def test_raters_are_text_tokens_that_look_more_than_the_average():
    weights = torch.zeros(2, 1, 10, 10)
    weights[0, 0, 9, 1:5] = 0.2
    weights[0, 0, 0, 5] = 0.5  # below the average of 0.8 and 0.5: no rater
    weights[1, 0, 8, 2:4] = 0.3
    weights[1, 0, 4:8, 0] = 0.2  # more than 0.3 together, and each below the average
    weights[0, 0, 0, 0] = weights[1, 0, 4:8, 5] = 0.5  # what they look at besides vision does not make them raters
    assert kept("sparsevlm", probe=Told(weights)) == [[1, 2, 3, 4], [2, 3]]


def test_pivots_stay_and_what_is_unlike_them():
    keys = torch.ones(2, 1, 10, 4)
    keys[0, 0, 3] = 5.0
    keys[1, 0, 0] = 5.0
    hidden = torch.zeros(2, 10, 2)
    hidden[..., 0] = 1.0
    hidden[0, [5, 6, 8]] = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.1, 1.0]])
    hidden[1, 2] = torch.tensor([-1.0, 0.1])
    assert kept(DART(pivots=1), probe=Told(keys=keys), hidden=hidden) == [[3, 5, 6, 8], [0, 2]]


def test_dart_takes_the_earlier_of_equal_tokens_as_a_pivot():
    torch.manual_seed(0)
    keys, hidden = torch.ones(2, 1, 10, 4), torch.randn(2, 10, 4)
    assert kept(DART(pivots=4), probe=Told(keys=keys), hidden=hidden) == [[1, 2, 3, 4], [0, 1]]


def test_recycled_tokens_are_means_of_dropped_ones():
    weights = torch.zeros(2, 1, 10, 10)
    weights[:, 0, 9, 1:9] = torch.arange(8, 0, -1) / 40
    weights[1, 0, 9, :4] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    hidden = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0))
    dropper = ProgressiveDropper(Schedule([(1, 0.5)]), VISION, method=SparseVLM(recycle=0.5))
    dropper.before_layer(0, hidden, lambda _: Told(weights))
    left = dropper.before_layer(1, hidden, lambda _: Told(weights))
    # of sample 0, 1 and 2 stay; 3 and 4 are made of the better half of the rest, 3 to 6
    assert dropper.rows.positions[0, :6].tolist() == [0, 1, 2, 3, 4, 9]
    assert torch.equal(left[0, :3], hidden[0, :3])
    likeness = torch.nn.functional.cosine_similarity(hidden[0, 5:7, None], hidden[0, None, 3:5], dim=-1)
    for place, centre in enumerate((3, 4)):
        members = [centre, *(column for column in (5, 6) if likeness[column - 5].argmax() == place)]
        torch.testing.assert_close(left[0, centre], hidden[0, members].mean(0))


@pytest.mark.parametrize("name", ["fastv", "pyramiddrop", "sparsevlm", "dart"])
def test_methods_that_look_at_attention_need_a_model(name):
    with pytest.raises(v2drop.UsageError, match="there is no model"):
        kept(name)


@pytest.mark.parametrize("retained", [0.5, 1 / 3, 0.222, 0.111])
@pytest.mark.parametrize("name", [name for name in v2drop.methods() if name != "dense"])
def test_schedules_keep_the_budget(name, retained):
    method = make_method(name)
    least = min(method.schedule(32, 0.99).stages[0].layer, 32) / 32
    if retained < least:
        with pytest.raises(v2drop.ScheduleError, match="at least"):
            method.schedule(32, retained)
    else:
        assert method.schedule(32, retained).retained(32) == pytest.approx(retained, abs=1e-9)


def test_cuts_are_where_the_authors_put_them():
    layers = {
        name: [stage.layer for stage in kind().schedule(32, 0.5).stages] for name, kind in v2drop.methods().items()
    }
    assert layers.items() >= {
        "dart": [2], "dense": [], "fastv": [2], "pyramiddrop": [8, 16, 24], "sparsevlm": [2, 6, 15],
        "random": [3, 17, 22], "uniform": [3, 17, 22], "v2drop": [3, 17, 22],
    }.items()  # fmt: skip


def test_published_schedules_give_the_published_budgets():
    assert Schedule.preset("fastv").retained(32) == pytest.approx((2 + 30 * 0.5) / 32)
    assert Schedule.preset("pyramiddrop").retained(32) == pytest.approx((8 + 4 + 2 + 1) / 32)
    assert Schedule.preset("llava-1.5-192").retained(32) * 576 == pytest.approx(193.5)


def test_mistakes_are_named():
    with pytest.raises(v2drop.MethodError, match=r"unknown method 'fast': use one of .*dart, dense"):
        make_method("fast")
    with pytest.raises(v2drop.MethodError, match="'fastv' has no option metric: it has none"):
        make_method("fastv", metric="l2")
    with pytest.raises(v2drop.MethodError, match=r"Random\(seed=3\) is already an instance: pass metric"):
        make_method(Random(seed=3), metric="l1")
    with pytest.raises(v2drop.MetricError, match="unknown metric"):
        make_method("v2drop", metric="l3")


def test_a_seed_for_each_sample_is_as_the_seed_alone():
    both = kept(Random([3, 7]))
    assert both == [kept(Random(3))[0], kept(Random(7))[1]]
    assert both != kept(Random(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SparseVLM(recycle=1.5),
        lambda: SparseVLM(recycle=-0.5),
        lambda: DART(pivots=0),
        lambda: DART(pivots=1.5),
        lambda: Random(seed=2**63),
        lambda: Random(seed="a"),
        lambda: Random(seed=[1, 0.5]),
    ],
)
def test_options_that_cannot_be_are_refused(make):
    with pytest.raises(v2drop.MethodError, match="see v2drop docs methods"):
        make()
