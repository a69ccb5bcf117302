"""Nothing is left out that the stock models can do."""

from __future__ import annotations

import pytest
import transformers
from fuzz.stock_limits import ALL_RELEASES, SOME_RELEASES, fails, limit_of, limits

(
    CROPPED,
    LOOKED_AHEAD,
    EMPTIED,
    QWEN_CHUNKS,
    CHUNKS,
    LATER_CHUNKS,
    IDS,
    BEAMS,
    COUNTED,
    NO_MASK,
    NEW_MEDIA,
    POSITIONS,
) = SOME_RELEASES
KNOWN = {
    "5.0": {CROPPED, LOOKED_AHEAD, EMPTIED, QWEN_CHUNKS, CHUNKS, LATER_CHUNKS, IDS, BEAMS, COUNTED},
    "5.24": {NEW_MEDIA, POSITIONS},
}


@pytest.mark.parametrize("limit", ALL_RELEASES, ids=lambda limit: limit.reason)
def test_what_is_left_out_fails_on_the_stock_model(limit):
    assert limit_of(limit.example) is limit
    assert fails(limit.example), f"the stock model can do it: take the limit out, {limit.reason}"


def test_the_limits_of_a_release_are_those_that_are_known():
    known = KNOWN.get(transformers.__version__.rpartition(".")[0])
    if known is None:
        pytest.skip("of a release between the oldest and the pinned one: what fails there is left out")
    assert set(limits()) - set(ALL_RELEASES) == known
