"""With nothing dropped, `v2drop run` answers what transformers' own pipeline answers about the files that it reads rightly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from support.picture_cases import encoded, exif, turned
from transformers import pipeline

from v2drop_zoo import CHECKPOINTS

FOLDER = CHECKPOINTS / "llava"
EXAMPLE = np.asarray(Image.open(FOLDER / "example.png").convert("RGB"))
PROMPTS = ("where is the 2 ?", "what is in the centre ?")
SOFT = {"quality": 95, "subsampling": 0}
FILES = {
    "png": encoded(EXAMPLE, "PNG"),
    "jpeg": encoded(EXAMPLE, "JPEG", **SOFT),
    "jpeg gray": encoded(EXAMPLE, "JPEG", "L", **SOFT),
    "webp": encoded(EXAMPLE, "WEBP", lossless=True),
    "palette": encoded(Image.fromarray(EXAMPLE).quantize(64), "PNG"),
    "wide": encoded(np.concatenate([EXAMPLE, EXAMPLE[:, ::-1]], 1), "PNG"),
    **{f"turned {number}": encoded(turned(EXAMPLE, number), "PNG", exif=exif(number)) for number in (2, 3, 6, 8)},
}


@pytest.fixture(scope="module")
def stock():
    """Stock transformers."""
    return pipeline("image-text-to-text", model=str(FOLDER), device="cpu")


@pytest.fixture
def answer(command):
    """What `v2drop run` answers, dense and with everything kept."""

    def call(path, prompt):
        code, said = command(
            "run", "--image", path, "--prompt", prompt, "--retain", "1", "--json", "--max-new-tokens", "8"
        )
        assert code == 0, said.err
        data = json.loads(said.out)
        return data["dense"]["answer"], data["dropped"]["answer"]

    return call


@pytest.mark.parametrize("name", FILES)
def test_nothing_dropped_answers_as_the_stock_pipeline(stock, answer, tmp_path, name):
    path = tmp_path / "picture"
    path.write_bytes(FILES[name])
    for prompt in PROMPTS:
        content = [{"type": "image", "image": str(path)}, {"type": "text", "text": prompt}]
        chat = [{"role": "user", "content": content}]
        [said] = stock(text=chat, return_full_text=False, max_new_tokens=8, do_sample=False)
        expected = said["generated_text"].strip()
        assert answer(path, prompt) == (expected, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_a_turned_picture_is_asked_about_upright(answer, tmp_path, name, orientation):
    """A phone's picture: as it is stored, turned by 90 degrees, the digit is in another place."""
    path = tmp_path / "picture"
    options = SOFT if name == "JPEG" else {}
    path.write_bytes(encoded(turned(EXAMPLE, orientation), name, exif=exif(orientation), **options))
    assert answer(path, "where is the 2 ?") == ("left", "left")
