"""Caches that are kept on the CPU while the model is elsewhere; the streams of a GPU alone are stood in for."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from support.pretend_devices import PretendDevices, where_there_are_devices
from support.subjects import SUBJECTS
from transformers import DynamicCache

import v2drop
from v2drop.conformance.cases import behind

STEPS = 5
GREEDY = {"max_new_tokens": STEPS, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}


class Stream(nullcontext):
    """A stream of a machine that does one thing after the other."""

    def wait_stream(self, other):
        pass


@torch.no_grad()
def compare_offloaded_with_resident(number):
    torch.Stream, torch.cuda.default_stream = Stream, lambda device: Stream()
    subject = SUBJECTS[number]
    with PretendDevices():
        model = copy.deepcopy(subject.model()).to("pretend:0")
        turns = (subject.ending_in_text(1, 0, 2), subject.batch(0, 0, 0, seed=1))
        first, later = ({name: tensor.to("pretend:0") for name, tensor in turn.items()} for turn in turns)
        said = []
        for offloading in (False, True):
            cache = DynamicCache(config=model.config.get_text_config(), offloading=offloading)
            with v2drop.attach(model, subject.halves) as run:
                answer = model.generate(**first, **GREEDY, past_key_values=cache)
                places = [layer.keys.device.type for layer in cache.layers]
                assert places.count("cpu") == (subject.depth - 1 if offloading else 0)  # one layer is fetched ahead
                written = STEPS - 1  # transformers 5.0 takes the length that is to be left
                cache.crop(first["input_ids"].shape[1] if subject.is_transformers_5_0 else -written)
                turn = behind(first, first["input_ids"], later)
                second = model.generate(**turn, **GREEDY, past_key_values=cache)
            said.append((torch.stack([*answer.logits, *second.logits]).cpu(), run.report.to_dict()))
    (resident, report), (offloaded, report_of_offloaded) = said
    assert report_of_offloaded == report
    assert torch.equal(offloaded, resident)


@pytest.mark.feature("Caches", "offloaded")
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_an_offloaded_cache_gives_what_a_resident_one_gives(subject):
    """In generation, and in a turn behind a cache that was cropped back to the prompt."""
    where_there_are_devices(compare_offloaded_with_resident, SUBJECTS.index(subject))
