"""What attach does on releases of transformers that v2drop was not tested on."""

from __future__ import annotations

import re
import sys
import time
import warnings
from functools import wraps
from pathlib import Path

import pytest
import torch
from support.subjects import SUBJECTS
from support.tiny_llava import tiny_llava
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

import v2drop
from v2drop import releases
from v2drop.self_check import self_check

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def untested(monkeypatch):
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "5.99.0.dev0")
    monkeypatch.setattr(releases, "_checked", set())
    monkeypatch.delenv(releases.ALLOW, raising=False)


@pytest.fixture
def own_positions(monkeypatch):
    """A release whose layers work out positions for themselves, from where a token stands in what they are handed."""
    stock = LlamaDecoderLayer.forward

    @wraps(stock)
    def forward(self, hidden_states, *args, position_embeddings, **kwargs):
        cos, sin = (part[:, :1].expand(-1, hidden_states.shape[1], -1).cumsum(1) for part in position_embeddings)
        return stock(self, hidden_states, *args, position_embeddings=(cos, sin), **kwargs)

    monkeypatch.setattr(LlamaDecoderLayer, "forward", forward)


def test_the_tested_releases_are_those_that_ci_tests():
    """The oldest of the Makefile, and the one that constraints.txt pins; `make test-newest` tells when that has moved on."""
    oldest = re.search(r"^OLDEST := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    pinned = re.search(r"^transformers==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert (releases.TESTED[0], releases.TESTED[-1]) == (oldest, pinned)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_the_self_check_passes_and_is_quick_and_leaves_the_model_and_random_numbers_alone(subject):
    model = subject.model()
    before, state = {name: id(weight) for name, weight in model.named_parameters()}, torch.get_rng_state()
    self_check(model, subject.adapter())
    times = []
    for _ in range(5):
        started = time.process_time()  # others may use the machine too
        self_check(model, subject.adapter())
        times.append(time.process_time() - started)
    assert min(times) < 0.2
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: id(weight) for name, weight in model.named_parameters()} == before


def test_a_newer_release_warns_once_and_works(untested):
    model = tiny_llava()
    with pytest.warns(
        v2drop.UntestedReleaseWarning, match=r"5\.99\.0\.dev0 is newer.*5\.0\.0 to .*LlamaDecoderLayer passed"
    ) as found:
        v2drop.attach(model, retained=0.5).detach()
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        v2drop.attach(model, retained=0.5).detach()
        v2drop.attach(tiny_llava(seed=1), retained=0.5).detach()


def test_a_tested_release_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        v2drop.attach(tiny_llava(), retained=0.5).detach()


def test_a_self_check_that_fails_refuses_before_the_model_is_touched(untested, own_positions):
    model = tiny_llava()
    for _ in range(2):
        with pytest.raises(
            v2drop.UnsupportedModelError, match=r"self-check of LlamaDecoderLayer failed.*V2DROP_ALLOW_UNTESTED=1"
        ):
            v2drop.attach(model, retained=0.5)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_whoever_insists_is_warned(untested, own_positions, monkeypatch):
    monkeypatch.setenv(releases.ALLOW, "1")
    with pytest.warns(v2drop.UntestedReleaseWarning, match="failed, and V2DROP_ALLOW_UNTESTED=1 allows it"):
        v2drop.attach(tiny_llava(), retained=0.5).detach()


def test_an_older_release_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "4.57.6")
    with pytest.raises(v2drop.UnsupportedModelError, match=r"transformers 4\.57\.6 is installed.*5\.0\.0 to"):
        v2drop.attach(tiny_llava(), retained=0.5)
