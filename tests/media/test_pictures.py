"""What a model is shown is what a person sees: pictures of many formats and modes, through each architecture's reader."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from support.picture_cases import CASES, HEIGHT, WIDTH
from transformers import Qwen2VLImageProcessor

from v2drop import registered_adapters
from v2drop_media.images import image_size, read_image

ADAPTERS = {name: point.load()() for name, point in registered_adapters().items()}
PROCESSOR = SimpleNamespace(
    image_processor=Qwen2VLImageProcessor(
        size={"shortest_edge": 48 * 48, "longest_edge": 144 * 144}, patch_size=6, merge_size=2
    )
)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("name", CASES)
def test_a_model_is_shown_what_a_person_sees(tmp_path, name, adapter):
    data, right, apart = CASES[name]
    path = tmp_path / "picture"
    path.write_bytes(data)
    shown = read_image(path, ADAPTERS[adapter], PROCESSOR)
    assert shown.mode == "RGB"
    assert shown.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(shown).astype(int) - right.astype(int)).max() <= apart


@pytest.mark.parametrize("name", CASES)
def test_a_header_tells_the_size_of_the_upright_picture(tmp_path, name):
    path = tmp_path / "picture"
    path.write_bytes(CASES[name][0])
    assert image_size(path) == (WIDTH, HEIGHT)


def test_the_table_is_a_large_one():
    assert len(CASES) >= 100
