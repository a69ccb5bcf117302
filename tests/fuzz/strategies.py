"""How hypothesis draws a combination: each dimension on its own, so that a failing one shrinks to the least that fails."""

from __future__ import annotations

from itertools import combinations, product

from fuzz.combination import LOOKAHEAD, QWEN, SUBJECT, Combination
from fuzz.stock_limits import limit_of
from hypothesis import strategies as st

# Each tuple starts with what hypothesis is to shrink to. Each is drawn from once in an example: of what is drawn twice,
# hypothesis makes five variations before it draws an example afresh.
ARCHITECTURES = tuple(SUBJECT)
ATTENTIONS = ("sdpa", "eager")
BETWEEN = ("nothing", "copied", "cropped", "emptied")
CACHES = ("dynamic", "static", "none")
CUTS = tuple(layers for count in (1, 2, 3) for layers in combinations(range(1, 6), count))
FORMS = ("ids", "embeds", "marked embeds")
MEDIA = {samples: sorted(product(range(4), repeat=samples), key=sum) for samples in range(1, 5)}
METRICS = ("l2", "l1")
MODES = ("forward", "greedy", "sampling", "beams", "prompt lookup", "assisted", "chunked prefill")
SHARES = tuple(product((0, 1, 0.5, 0.25, 0.75, 0.1, 0.95), repeat=3))
SIDES = ("left", "right")


@st.composite
def drawn(draw):
    """Any combination that has a meaning, whether the stock model can do it or not."""

    def one_of(values):
        return draw(st.sampled_from(values))

    mode, architecture = one_of((*MODES, "forward")), one_of(ARCHITECTURES)  # a forward call can vary most
    lookahead = mode in LOOKAHEAD  # the stock model takes one sample then, and a cache that grows
    samples = 1 if lookahead else one_of(range(1, 5))
    cache = "dynamic" if lookahead else one_of(CACHES)
    form = one_of(FORMS) if mode == "forward" and one_of((False, True)) else "ids"
    answers = one_of((1, 2)) if mode in ("sampling", "beams") else 1
    goes_on = mode != "beams" and answers == 1 and form == "ids" and cache != "none"
    later_media = one_of((None, 0, 1)) if goes_on else None
    layers = one_of(CUTS)
    return Combination(
        architecture=architecture,
        media=one_of(MEDIA[samples]),
        stages=tuple(zip(layers, one_of(SHARES), strict=False)),
        min_tokens=one_of((0, 1, 3)),
        seed=draw(st.integers(0, 9999)),
        padding_side=one_of(SIDES) if mode == "forward" else "left",
        masked=one_of((True, True, False)),
        form=form,
        # in the tiny models of the LLaVAs vision tokens hardly turn: differences of their cosines are rounding
        metric=one_of((*METRICS, "cosine")) if architecture in QWEN else one_of(METRICS),
        attention=one_of(ATTENTIONS),
        mode=mode,
        answers=answers,
        cache=cache,
        later_media=later_media,
        between="nothing" if later_media is None else one_of(BETWEEN),
    )


def possible():
    """What the stock model can do."""
    return drawn().filter(lambda combination: limit_of(combination) is None)
