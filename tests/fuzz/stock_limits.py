"""What the stock models cannot do, named: combinations that are left out, each with its reason and an example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from fuzz.combination import LOOKAHEAD, QWEN, Combination
from fuzz.play import play
from torch import Tensor


@dataclass(frozen=True)
class Limit:
    """A reason to leave out the combinations that `applies` is true of. `example`, one of them, fails on the stock model."""

    reason: str
    applies: Callable[[Combination], bool]
    example: Combination


def llava(*media, **rest):
    return Combination("llava", media, ((1, 0.5),), **rest)


def qwen(*media, **rest):
    return Combination("qwen2_vl", media, ((1, 0.5),), **rest)


ALL_RELEASES = (
    Limit(
        "assisted generation takes one sample",
        lambda c: c.mode in LOOKAHEAD and len(c.media) > 1,
        llava(1, 1, mode="assisted"),
    ),
    Limit(
        "assisted generation needs a cache",
        lambda c: c.mode in LOOKAHEAD and c.cache == "none",
        llava(1, mode="prompt lookup", cache="none"),
    ),
    Limit(
        "a prompt is taken in chunks with a cache",
        lambda c: c.mode == "chunked prefill" and c.cache == "none",
        llava(1, mode="chunked prefill", cache="none"),
    ),
)
SOME_RELEASES = (
    Limit(
        "static caches cannot be cropped",
        lambda c: c.cache == "static" and c.between == "cropped",
        llava(1, cache="static", later_media=0, between="cropped"),
    ),
    Limit(
        "assisted generation needs a cache that grows",
        lambda c: c.cache == "static" and c.mode in LOOKAHEAD,
        llava(1, mode="prompt lookup", cache="static"),
    ),
    Limit(
        "growing caches cannot be emptied",
        lambda c: c.cache == "dynamic" and c.between == "emptied",
        llava(1, later_media=1, between="emptied"),
    ),
    Limit(
        "a prompt of this model with pictures is not taken in chunks",
        lambda c: c.mode == "chunked prefill" and c.architecture in QWEN,
        qwen(1, mode="chunked prefill"),
    ),
    Limit(
        "a prompt with pictures is not taken in chunks",
        lambda c: c.mode == "chunked prefill",
        llava(1, mode="chunked prefill"),
    ),
    Limit(
        "a later turn is not taken in chunks",
        lambda c: c.mode == "chunked prefill" and c.later_media is not None and c.between != "emptied",
        llava(1, mode="chunked prefill", later_media=0),
    ),
    Limit(
        "this model reads the ids where no mask is passed",
        lambda c: c.form != "ids" and not c.masked and c.architecture in QWEN,
        qwen(1, form="embeds", masked=False),
    ),
    Limit(
        "the beams of a sample with several pictures are handed different pictures",
        lambda c: c.mode == "beams" and max(c.media) > 1,
        llava(2, mode="beams"),
    ),
    Limit(
        "static caches count what is not zero in their first sample, which padding may be",
        lambda c: c.cache == "static" and c.later_media is not None and len(c.media) > 1,
        llava(0, 1, cache="static", later_media=0),
    ),
    Limit(
        "this model cannot go on behind a static cache without a mask",
        lambda c: c.cache == "static" and not c.masked and c.mode == "forward" and c.architecture in QWEN,
        qwen(1, cache="static", masked=False, later_media=0),
    ),
    Limit(
        "generate() of this model takes no new media behind a filled cache",
        lambda c: c.mode != "forward" and bool(c.later_media) and not c.subject.media_in_later_generate,
        qwen(1, mode="greedy", later_media=1),
    ),
    Limit(
        "a forward call behind a filled cache does not cut the positions that this model makes of a mask to the turn",
        lambda c: c.mode == "forward" and c.later_media is not None and c.masked and c.architecture in QWEN,
        qwen(1, later_media=1),
    ),
)


@cache
def limits() -> tuple[Limit, ...]:
    """Those of the installed release: what it cannot do is found out by trying the examples."""
    return ALL_RELEASES + tuple(limit for limit in SOME_RELEASES if fails(limit.example))


def limit_of(combination: Combination) -> Limit | None:
    """The first limit that leaves a combination out, if there is one."""
    return next((limit for limit in limits() if limit.applies(combination)), None)


def fails(combination: Combination) -> bool:
    """Whether the stock model raises, or gives something else with a plain cache, with none, or with the prompt as a whole."""
    case, model = combination.case(), combination.subject.model(combination.attention)
    try:
        found = play(combination, model, case)
        others = [play(combination, model, case, plainly=True)]
        if combination.mode == "chunked prefill":
            others.append(play(replace(combination, mode="greedy"), model, case))
        elif combination.mode not in ("forward", *LOOKAHEAD) and combination.later_media is None:
            others.append(play(replace(combination, cache="none"), model, case))
    except Exception:
        return True
    return not all(_same(found, other) for other in others)


def _same(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    return all(torch.allclose(*both, atol=1e-4, rtol=1e-4) for both in zip(found, wanted, strict=True))
