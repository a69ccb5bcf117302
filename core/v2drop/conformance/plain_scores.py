"""Plain reference scores of the other methods, one sample at a time, for the truth test.

Methods without a reference here cannot be checked by the truth test; see `v2drop docs adding-a-method`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Plain:
    """What a stage sees of one sample, at all of its columns.

    Attributes:
        layer: the stage's layer.
        current: input of the stage's layer, float64 [S, H].
        attention: weights of the layer before, by the stock model's eager attention, on this call's keys [heads, S, S].
        keys: keys of the layer before, not rotated, [S, key heads * D].
        vision: positions of the remaining vision tokens.
        candidates: those of `vision` that may be dropped.
        text: the other real positions.
        last: the last real position.
        rank: for each position, the number of the sample's vision tokens before it.
        staying: number of candidates that stay.
    """

    layer: int
    current: Tensor
    attention: Tensor
    keys: Tensor
    vision: list[int]
    candidates: list[int]
    text: list[int]
    last: int
    rank: list[int]
    staying: int


def from_the_last_token(plain: Plain) -> Tensor:
    return plain.attention[:, plain.last].mean(0)


def from_raters(plain: Plain) -> Tensor:
    mean = plain.attention.mean(0)
    looks = {row: sum(mean[row, column].item() for column in plain.vision) for row in plain.text}
    average = sum(looks.values()) / max(1, len(looks))
    raters = [row for row, look in looks.items() if look >= average]
    return mean[raters].sum(0)


def unlike_pivots(plain: Plain) -> Tensor:
    size = plain.keys.norm(dim=-1)
    pivots = sorted(plain.candidates, key=lambda column: (-size[column].item(), column))
    first, swapped = pivots[:8], _swapped(pivots, size)[:8]
    scores = _by_pivots(plain, first)
    if swapped != first and _kept(plain, scores) != _kept(plain, _by_pivots(plain, swapped)):
        return torch.ones_like(scores)  # undecided: which of these tokens are pivots depends on rounding
    return scores


def _by_pivots(plain: Plain, pivots: list[int]) -> Tensor:
    unit = plain.current / plain.current.norm(dim=-1, keepdim=True)
    scores = torch.zeros(len(unit), dtype=torch.float64)
    for column in plain.candidates:
        likeness = max((unit[column] @ unit[pivot]).item() for pivot in pivots)
        scores[column] = 3 - pivots.index(column) / 8 if column in pivots else -likeness
    return scores


def _swapped(ordered: list[int], size: Tensor) -> list[int]:
    """The positions, reversed where sizes differ only by rounding, as for copies of a picture."""
    swapped: list[list[int]] = []
    for column in ordered:
        gap = size[swapped[-1][-1]] - size[column] if swapped else None
        if gap is not None and gap <= 1e-6 * size[column]:
            swapped[-1].append(column)
        else:
            swapped.append([column])
    return [column for alike in swapped for column in reversed(alike)]


def _kept(plain: Plain, scores: Tensor) -> set[int]:
    return set(sorted(plain.candidates, key=lambda column: (-scores[column].item(), column))[: plain.staying])


def hashed(plain: Plain) -> Tensor:
    def mixed(state: int) -> int:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    drawn = [mixed((rank + mixed(mixed(0) + plain.layer)) % 2**64) for rank in plain.rank]
    return torch.tensor([abs(each - 2**64 if each >= 2**63 else each) / 2**63 for each in drawn], dtype=torch.float64)


def evenly_spread(plain: Plain) -> Tensor:
    scores, n = torch.zeros(len(plain.current), dtype=torch.float64), len(plain.candidates)
    for place, column in enumerate(plain.candidates):
        scores[column] = (place + 1) * plain.staying // n > place * plain.staying // n
    return scores


PLAIN_SCORES: dict[str, Callable[[Plain], Tensor]] = {
    "fastv": from_the_last_token,
    "pyramiddrop": from_the_last_token,
    "sparsevlm": from_raters,
    "dart": unlike_pivots,
    "random": hashed,
    "uniform": evenly_spread,
}
