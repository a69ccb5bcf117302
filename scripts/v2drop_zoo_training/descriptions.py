"""What each zoo model's card says about what it can do and how it was trained; figures are measured, not written."""

from __future__ import annotations

_DIGITS = """The digits are real scans: scikit-learn's
`load_digits` (UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, CC BY 4.0), split by scan into
1,277 for training, 160 for validation and 360 for testing. Digits are drawn near a 12-pixel raster, {raster}."""

_PENALTY = """Its recipe adds a penalty on needless updates of vision tokens to the loss (weight {penalty}).
Tiny models trained without one changed background tokens most in their early layers, so that V2Drop dropped what matters:
the method rests on a property that large models have and that this one had to be taught. """

_INHERITED = """It starts from the weights of the zoo's LLaVA wherever names and shapes agree. """

_SQUARES = """Cells of 48 pixels are named
like a chess board's squares, a1 at the top left, b1 below it. """

ABILITIES = {
    "llava": """Pictures of 144 x 144 pixels with 2 to 5 handwritten digits of distinct value and colour, on a noisy
grey canvas with bars; questions of the kinds below, in these words only. """
    + _DIGITS.format(raster="the patch size"),
    "llava_next": """Wide pictures of 192 x 96 and tall ones of 96 x 192 pixels, two tiles each, with 2 to 5
handwritten digits of distinct value and colour, on a noisy grey canvas with bars; questions of the kinds below, in these
words only. """
    + _SQUARES
    + _DIGITS.format(raster="the patch size"),
    "qwen2_vl": """Pictures of 144 x 144, 144 x 96 and 96 x 144 pixels with 2 to 5 handwritten digits of distinct value
and colour, on a noisy grey canvas with bars; and videos of 8 frames of 96 x 96 pixels at 2 frames per second, in which two
such digits come one after the other and move, each its own way; questions of the kinds below, in these words only. """
    + _SQUARES
    + _DIGITS.format(raster="the size of what a vision token shows")
    + """ Videos are written as H.264 and read back frame by frame.""",
}

ABILITIES["llava_control"] = ABILITIES["llava"]

PURPOSE = """It shows that v2drop works, in tests and demos that can reach no hub. It is no evidence about models
of 7B parameters, nor that V2Drop beats other methods there: it was trained to have the very property that V2Drop rests
on, so V2Drop does well on it, and its task is easy on purpose."""
PURPOSES = {
    "llava_control": """It is a control: a model that was not taught the property that V2Drop rests on, beside the zoo's LLaVA,
which was. What differs between the two in comparisons of methods is what the property is worth."""
}

TRAINING = {
    "llava": _PENALTY
    + """Two
kinds of question are left out: counting, which such a model answers from the background, and presence ("is there a 7 ?"),
which the recipe trains but whose answers stay at chance.""",
    "llava_control": """The recipe, seed and length of training are those of the zoo's LLaVA, less its penalty on needless
updates of vision tokens (weight {penalty} instead of 0.3). Both are asked the same kinds of question.""",
    "llava_next": _INHERITED
    + _PENALTY
    + """Counting and presence
("is there a 7 ?") are left out: such models answer the one from the background and the other at chance.""",
    "qwen2_vl": _INHERITED
    + _PENALTY
    + """Its tower sees no absolute positions, so the
language model's first layers are also taught to find out where each digit is, and in videos which comes first and which way
it moves (`lesson.py`). Counting and presence ("is there a 7 ?") are left out: such models answer the one from the
background and the other at chance. The weights that ship come from a run in two sittings: what concerns time and motion
joined the lesson, and videos got half of the steps instead of two fifths, 500 of 1,400 steps into the last phase.""",
}
