"""What the stock models cannot do, named: combinations that are left out, each with its reason and an example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import transformers
from fuzz.combination import LOOKAHEAD, QWEN, Combination
from packaging.version import Version
from transformers.cache_utils import StaticLayer


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


IN_ALL_RELEASES = (
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
BEFORE_5_24 = (
    Limit(
        "static caches cannot be cropped before transformers 5.24",
        lambda c: c.cache == "static" and c.between == "cropped",
        llava(1, cache="static", later_media=0, between="cropped"),
    ),
    Limit(
        "assisted generation before transformers 5.24 needs a cache that grows",
        lambda c: c.cache == "static" and c.mode in LOOKAHEAD,
        llava(1, mode="prompt lookup", cache="static"),
    ),
)
IN_5_3_TO_5_19 = (
    Limit(
        "from transformers 5.3 to 5.19 this model cannot split pictures",
        lambda c: c.mode == "chunked prefill" and c.architecture in QWEN,
        qwen(1, mode="chunked prefill"),
    ),
)
IN_5_0 = (
    Limit(
        "growing caches of transformers 5.0 cannot be emptied",
        lambda c: c.cache == "dynamic" and c.between == "emptied",
        llava(1, later_media=1, between="emptied"),
    ),
    Limit(
        "transformers 5.0 cannot split pictures",
        lambda c: c.mode == "chunked prefill",
        llava(1, mode="chunked prefill"),
    ),
    Limit(
        "in transformers 5.0 this model reads the ids where no mask is passed",
        lambda c: c.form != "ids" and not c.masked and c.architecture in QWEN,
        qwen(1, form="embeds", masked=False),
    ),
    Limit(
        "transformers 5.0 hands the beams of a sample with several pictures different pictures",
        lambda c: c.mode == "beams" and max(c.media) > 1,
        llava(2, mode="beams"),
    ),
    Limit(
        "static caches of transformers 5.0 count what is not zero in their first sample, which padding may be",
        lambda c: c.cache == "static" and c.later_media is not None and len(c.media) > 1,
        llava(0, 1, cache="static", later_media=0),
    ),
)
IN_LATER_RELEASES = (
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
LIMITS = (
    IN_ALL_RELEASES
    + (IN_5_3_TO_5_19 if Version("5.3") <= Version(transformers.__version__) < Version("5.20") else ())
    + (() if hasattr(StaticLayer, "crop") else BEFORE_5_24)
    + (IN_5_0 if transformers.__version__.startswith("5.0.") else IN_LATER_RELEASES)
)


def limit_of(combination: Combination) -> Limit | None:
    """The first limit that leaves a combination out, if there is one."""
    return next((limit for limit in LIMITS if limit.applies(combination)), None)
