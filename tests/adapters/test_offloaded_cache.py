"""Caches that are kept on the CPU. transformers' own code runs; only the streams of a GPU are stood in for."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from subjects import SUBJECTS

import v2drop

GREEDY = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}


class Stream(nullcontext):
    """A stream of a machine that does one thing after the other."""

    def wait_stream(self, other):
        pass


@pytest.fixture(autouse=True)
def streams(monkeypatch):
    monkeypatch.setattr(torch, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "default_stream", lambda device: Stream())


@torch.no_grad()
@pytest.mark.feature("Caches", "offloaded")
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_an_offloaded_cache_gives_what_a_resident_one_gives(subject):
    model, inputs = subject.model(), subject.ending_in_text(1, 0, 2)
    with v2drop.attach(model, subject.halves) as run:
        resident = model.generate(**inputs, **GREEDY)
        kept = run.report.to_dict()
        offloaded = model.generate(**inputs, **GREEDY, cache_implementation="offloaded")
        assert run.report.to_dict() == kept
        assert offloaded.past_key_values.offloading
    assert torch.equal(offloaded.sequences, resident.sequences)
    torch.testing.assert_close(offloaded.logits, resident.logits)
