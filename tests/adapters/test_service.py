"""What a service relies on: reports that belong to calls, attachments that stay while a call lasts, and plain refusals."""

from __future__ import annotations

import copy
import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest
import torch
from support.subjects import LlavaOnevisionSubject, LlavaSubject
from support.tiny_llava import tiny_llava
from transformers import StaticCache

import v2drop
from v2drop.hf.calls import cache_argument, cache_in
from v2drop_llava import LlavaAdapter

GREEDY = {"max_new_tokens": 5, "do_sample": False}
HALVES = v2drop.Schedule([(1, 0.5), (3, 0.5)])
WORDS = {"input_ids": torch.tensor([[5, 6, 7]])}
subject = LlavaSubject()


def alone(inputs):
    model = subject.model()
    with v2drop.attach(model, HALVES) as run:
        model.generate(**inputs, **GREEDY)
        return run.report.to_dict()


def test_a_report_is_that_of_its_own_thread():
    if subject.is_transformers_5_0:
        pytest.skip("stock models of transformers 5.0 swap their modules' methods in each call")
    model, prompts = subject.model(), [subject.ending_in_text(count, seed=count) for count in (1, 2, 3)]
    wanted, together = [alone(inputs) for inputs in prompts], Barrier(3)
    with v2drop.attach(model, HALVES) as run:

        def answer(inputs):
            reports = []
            for _ in range(4):
                with torch.no_grad():
                    model.generate(**inputs, **GREEDY)
                together.wait(timeout=60)  # all have generated before any of them looks
                reports.append(run.report.to_dict())
                together.wait(timeout=60)
            return reports

        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(answer, prompts))
        assert run.report is None, "this thread made no call"
        assert found == [[report] * 4 for report in wanted]


def test_nothing_is_kept_for_threads_that_ended():
    model, inputs = subject.model(), subject.ending_in_text(1)
    with v2drop.attach(model, HALVES) as run:
        for _ in range(3):
            thread = Thread(target=lambda: model(**inputs))
            thread.start()
            thread.join()
        del thread
        gc.collect()
        assert not run._reports


def test_a_text_only_request_has_no_report_and_a_later_turn_keeps_its_own():
    model, inputs = subject.model(), subject.ending_in_text(2)
    with v2drop.attach(model, HALVES) as run:
        cache = cache_in(model(**inputs))
        kept = run.report.to_dict()
        model(**WORDS, **cache_argument(model, cache))
        assert run.report.to_dict() == kept, "a turn behind the picture is of the same conversation"
        model.generate(**WORDS, **GREEDY)
        assert run.report is None
        model.generate(**inputs, **GREEDY)
        assert run.report.to_dict() == kept


def test_every_report_goes_to_the_callback_also_from_a_streamers_thread():
    model, prompts, reports = subject.model(), [subject.ending_in_text(1), WORDS, subject.ending_in_text(3)], []
    with v2drop.attach(model, HALVES, on_report=reports.append):
        for inputs in prompts:
            thread = Thread(target=model.generate, kwargs={**inputs, **GREEDY})
            thread.start()
            thread.join()
    assert [report.to_dict() for report in reports] == [alone(prompts[0]), alone(prompts[2])]


def test_a_callback_that_fails_ends_the_call_and_the_next_one_is_right():
    model, inputs = subject.model(), subject.ending_in_text(1)
    wanted = alone(inputs)

    def fail(report):
        raise RuntimeError("no metrics today")

    with v2drop.attach(model, HALVES, on_report=fail) as run:
        with pytest.raises(RuntimeError, match="no metrics today"):
            model.generate(**inputs, **GREEDY)
        assert run.report.to_dict() == wanted


def test_schedule_and_method_cannot_be_changed_under_way():
    with v2drop.attach(subject.model(), HALVES) as run:
        for name, value in (("schedule", v2drop.Schedule([])), ("method", "fastv"), ("report", None)):
            with pytest.raises(AttributeError):
                setattr(run, name, value)
        assert run.schedule == HALVES


def test_detaching_while_another_thread_generates_is_refused():
    model, inputs, started, go_on = subject.model(), subject.ending_in_text(1), Event(), Event()

    def wait(tokens, scores):
        started.set()
        assert go_on.wait(timeout=60)
        return scores

    run = v2drop.attach(model, HALVES)
    wanted = model.generate(**inputs, **GREEDY)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.generate, **inputs, **GREEDY, logits_processor=[wait])
        assert started.wait(timeout=60)
        with pytest.raises(v2drop.UsageError, match=r"another thread is in a call .*v2drop docs service"):
            run.detach()
        go_on.set()
        assert torch.equal(answer.result(timeout=60), wanted)
    run.detach()
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("shift", [1, -2])
def test_a_mask_that_disagrees_with_the_ids_is_told(shift):
    model, inputs = subject.model(), subject.ending_in_text(1, 2)
    right = subject.is_vision(inputs)
    with v2drop.attach(model, HALVES) as run:
        run.vision_mask = right.roll(shift, dims=1)
        with pytest.raises(
            v2drop.VisionMaskError, match=r"sample 0, column .* input_ids say otherwise .* after padding"
        ):
            model(**inputs)
        wanted = model(**inputs).logits
        run.vision_mask = right
        assert torch.equal(model(**inputs).logits, wanted)


def test_a_mask_that_is_scoped_is_gone_afterwards():
    model, inputs = subject.model(), subject.ending_in_text(1, 2)
    half = subject.is_vision(inputs) & (torch.arange(inputs["input_ids"].shape[1]) % 2 == 0)
    with v2drop.attach(model, HALVES) as run:
        with run.marking(half), pytest.raises(v2drop.VisionMaskError):
            model(**inputs)
        with pytest.raises(ZeroDivisionError), run.marking(half):
            raise ZeroDivisionError  # as generate() may fail before its first forward call
        assert run.vision_mask is None
        model(**inputs)
        embeds = model.get_input_embeddings()(inputs["input_ids"])
        with run.marking(half):
            model(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
        assert torch.equal(run.report._trace.vision_mask, half)


def test_a_static_cache_that_is_too_small_says_how_many_positions_are_needed():
    model, inputs = subject.model(), subject.ending_in_text(3)
    length = inputs["input_ids"].shape[1]
    cache = StaticCache(config=model.config.get_text_config(), max_cache_len=length - 1)
    needed = rf"room for {length - 1} positions, and this call needs {length} \(0 .* max_cache_len={length}"
    with v2drop.attach(model, HALVES), pytest.raises(v2drop.CacheError, match=needed):
        model(**inputs, **cache_argument(model, cache))


def test_continuous_batching_refuses_pictures_by_name():
    model, inputs = copy.deepcopy(subject.model()), subject.ending_in_text(1, 2)
    stock, ids = model.generate_batch, inputs["input_ids"].tolist()
    words = WORDS["input_ids"].tolist()
    try:
        wanted = [each.generated_tokens for each in stock(words, **GREEDY).values()]
    except (AttributeError, ValueError):  # in some releases it takes no model whose language model has its own config
        wanted = None
    with v2drop.attach(model, HALVES):
        for call in (
            lambda: model.generate(**inputs, **GREEDY, cache_implementation="paged"),
            lambda: model.generate_batch(ids, **GREEDY),
            lambda: copy.deepcopy(model).generate_batch(inputs=ids, **GREEDY),
        ):
            with pytest.raises(v2drop.UsageError, match=r"generate\(\) with another cache"):
                call()
        if wanted is not None:
            found = model.generate_batch(words, **GREEDY)
            assert [each.generated_tokens for each in found.values()] == wanted
    assert model.generate_batch == stock


@pytest.mark.parametrize("kind", [LlavaSubject, LlavaOnevisionSubject], ids=["llava", "llava_onevision"])
@pytest.mark.parametrize("order", [[1, 0], [1, 1]])
@torch.no_grad()
def test_a_cache_whose_samples_are_reordered_is_followed(kind, order):
    """As stock beam search does where it hands the beams of a sample different pictures."""
    judged = kind()
    model, samples = judged.model(), judged.ending_in_text(1, 1, seed=3)
    turn = torch.tensor([[5, 6], [5, 6]])
    with judged.attach(model, judged.halves):
        cache = cache_in(model(**samples, use_cache=True))
        mask = torch.cat([samples["attention_mask"], torch.ones(2, 2, dtype=torch.long)], dim=1)
        stay = model(turn, attention_mask=mask, **cache_argument(model, copy.deepcopy(cache))).logits
        cache.reorder_cache(torch.tensor(order))
        found = model(turn, attention_mask=mask[order], **cache_argument(model, cache)).logits
    torch.testing.assert_close(found, stay[order], atol=1e-5, rtol=1e-5)


def test_a_budget_respects_the_first_stage_that_a_model_allows():
    class StartsLater(LlavaAdapter):
        def first_stage(self, model):
            return 3

    model = tiny_llava(layers=16)
    for retained in (0.3, 0.5):
        for method in ("v2drop", "fastv", "pyramiddrop"):
            if method == "pyramiddrop" and retained < 0.4:
                continue
            with v2drop.attach(model, retained=retained, method=method, adapter=StartsLater()) as run:
                assert run.schedule.stages[0].layer >= 3
                assert run.schedule.retained(16) == pytest.approx(retained, abs=1e-3)
    with pytest.raises(v2drop.ScheduleError, match="before layer 3 of 16 at least"):
        v2drop.attach(model, retained=0.1, adapter=StartsLater())
