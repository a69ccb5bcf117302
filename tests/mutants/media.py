"""Mutants of what models are shown: how picture files are read, and what processors are asked for."""

from __future__ import annotations

from .mutant import Mutant

IMAGES, DEPTH = "core/v2drop_media/images.py", "core/v2drop_media/depth.py"
TRANSPARENCY, COLOR = "core/v2drop_media/transparency.py", "core/v2drop_media/color.py"
READERS = "scripts/v2drop_loading/media.py"
SHOWN = "tests/media/test_pictures.py::test_a_model_is_shown_what_a_person_sees"
FAULTS = "tests/loading/test_processor_faults.py::test_"

MEDIA = [
    Mutant(
        "pictures",
        "two orientations are mixed up",
        IMAGES,
        "6: Image.Transpose.ROTATE_270",
        "6: Image.Transpose.ROTATE_90",
        (f"{SHOWN}[png orientation 6-llava]",),
    ),
    Mutant(
        "pictures",
        "12 bits are taken for 16",
        DEPTH,
        "values >> ((stored.bits or 16) - 8)",
        "values >> 8",
        (f"{SHOWN}[tiff 12 bits-llava]",),
    ),
    Mutant(
        "pictures",
        "large integers are signed",
        DEPTH,
        "if stored.unsigned and",
        "if not stored.unsigned and",
        (f"{SHOWN}[tiff 32 bits unsigned-llava]",),
    ),
    Mutant(
        "pictures",
        "transparent parts show what is underneath",
        IMAGES,
        "white.paste(picture, mask=alpha)",
        "white.paste(picture)",
        (f"{SHOWN}[png la-llava]",),
    ),
    Mutant(
        "pictures",
        "a transparent gray of 4 bits is not scaled",
        TRANSPARENCY,
        "stored.bits in (2, 4)",
        "stored.bits == 2",
        (f"{SHOWN}[png gray 4 bits, one transparent-llava]",),
    ),
    Mutant(
        "pictures",
        "profiles are ignored",
        COLOR,
        "if transform is None:",
        "if True:",
        (f"{SHOWN}[png wide gamut-llava]",),
    ),
    Mutant(
        "pictures",
        "sRGB is turned into sRGB, with its rounding",
        COLOR,
        "_ROUNDING = 2 ",
        "_ROUNDING = -1 ",
        (f"{SHOWN}[png, profile of sRGB by another maker-llava]",),
    ),
    Mutant(
        "pictures",
        "the first frame is not told",
        IMAGES,
        "if count > 1:",
        "if count > 100:",
        ("tests/media/test_reading.py::test_the_first_of_several_is_shown_and_told",),
    ),
    Mutant(
        "processor calls",
        "a tokenizer's longest length holds",
        READERS,
        '"padding": len(chats) > 1, "truncation": False',
        '"padding": len(chats) > 1',
        (f"{FAULTS}a_longest_length_of_the_tokenizer_cuts_nothing",),
    ),
    Mutant(
        "processor calls",
        "quoted placeholders are asked",
        READERS,
        "token and token in prompt",
        "token and token == prompt",
        (f"{FAULTS}a_question_that_quotes_a_placeholder_is_refused_by_name",),
    ),
]
