"""Calls that fail or overlap: failures at any operation, threads, calls inside of calls."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..hf.calls import cache_argument, cache_in
from .call_promises import CallPromises
from .generation_promises import GREEDY
from .samples import Inputs


class FaultPromises(CallPromises):
    """Whatever stops a call or runs beside it, the next call is right."""

    @torch.no_grad()
    def test_a_call_that_fails_anywhere_leaves_nothing(self) -> None:
        """Out of memory or interrupted at operations all over a call, inside of stages too: the next call is right."""
        model, inputs = self.model(), self.batch(1, 0, 2)
        call = partial(model, **inputs)
        with self.attach(model, self.halves) as run:
            wanted = call().logits
            assert run.report is not None
            kept = run.report.to_dict()
            left = _fail_all_over(call)
            assert left <= 0 or self.is_transformers_5_0, "failed calls leave tensors behind"  # in 5.0 stock ones do
            assert run.report.to_dict() == kept, "a failed call changed the report"
            assert torch.equal(call().logits, wanted)

    @torch.no_grad()
    def test_a_step_that_failed_can_be_taken_again(self) -> None:
        """A decode step that fails before the first layer's keys are written goes through the second time."""
        model, inputs = self.model(), self._prompt_alone()
        turn = self._turns()[0]
        with self.attach(model, self.halves):
            fresh, cache = (cache_in(model(**inputs, use_cache=True)) for _ in range(2))
            self._fail_in_a_layer(model, {"input_ids": turn, **cache_argument(model, cache)}, layer=0)
            found = model(turn, **cache_argument(model, cache)).logits
            assert torch.equal(found, model(turn, **cache_argument(model, fresh)).logits)

    def _fail_in_a_layer(self, model: Any, inputs: dict[str, Any], layer: int) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        handle = self.adapter().decoder_layers(model)[layer].register_forward_pre_hook(interrupt)
        try:
            model(**inputs)
        except KeyboardInterrupt:
            return
        finally:
            handle.remove()
        raise AssertionError("the layer did not run")

    @torch.no_grad()
    def test_a_call_inside_of_a_call(self) -> None:
        """A layer that calls the whole model with other inputs gets a right answer, and so does the call around it."""
        model, outer, inner = self.model(), self.batch(1, 0), self.batch(2, seed=1)
        answers: list[Tensor] = []

        def call(*_: object) -> None:
            if not answers:
                answers.append(torch.empty(0))  # the call inside runs this layer too
                answers.append(model(**inner).logits)

        with self.attach(model, self.halves):
            wanted = [model(**inputs).logits for inputs in (outer, inner)]
            handle = self.adapter().decoder_layers(model)[self.depth // 2].register_forward_pre_hook(call)
            try:
                found = model(**outer).logits
            finally:
                handle.remove()
        assert torch.equal(found, wanted[0])
        assert torch.equal(answers[1], wanted[1])

    @torch.no_grad()
    def test_generations_in_turns_do_not_mix(self) -> None:
        """Two threads that take each step by turns on one model get what each gets alone."""
        self._alone_and_together([self.ending_in_text(1, seed=1), self.ending_in_text(2, 0, seed=2)], in_turns=True)

    @torch.no_grad()
    def test_threads_generate_at_the_same_time(self) -> None:
        """Several threads on one model get what each gets alone."""
        media: list[tuple[int, ...]] = [(1,), (2, 0), (3,), (1, 1)]
        self._alone_and_together([self.ending_in_text(*each, seed=seed) for seed, each in enumerate(media)])

    def _alone_and_together(self, prompts: list[Inputs], in_turns: bool = False) -> None:
        model = self.model()

        def together() -> list[Tensor]:
            barrier = Barrier(len(prompts)) if in_turns else None
            with ThreadPoolExecutor(len(prompts)) as pool:
                return list(pool.map(partial(self._generate, model, barrier), prompts))

        self.skip_unless_stock(
            not self.is_transformers_5_0, "of transformers 5.0 swaps its modules' methods in each call"
        )
        stock = [self._generate(model, None, inputs) for inputs in prompts]
        self.skip_unless_stock(
            all(map(torch.equal, together(), stock)), "mixes up generations that run at the same time"
        )
        with self.attach(model, self.halves):
            alone = [self._generate(model, None, inputs) for inputs in prompts]
            assert all(map(torch.equal, together(), alone))

    @staticmethod
    def _generate(model: Any, barrier: Barrier | None, inputs: Inputs) -> Tensor:
        def wait(tokens: Tensor, scores: Tensor) -> Tensor:
            if barrier is not None:
                barrier.wait(timeout=60)
            return scores

        with torch.no_grad():  # grad mode is per thread
            tokens: Tensor = model.generate(**inputs, **GREEDY, logits_processor=[wait])
        return tokens


class _Failing(TorchDispatchMode):
    """Raises an exception instead of the operation of a number; -1: only counts them."""

    def __init__(self, number: int, kind: type[BaseException]) -> None:
        super().__init__()
        self.number, self.kind, self.seen = number, kind, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen += 1
        if self.seen - 1 == self.number:
            raise self.kind("made to fail")
        return func(*args, **(kwargs or {}))


def _fail_all_over(call: Callable[[], object]) -> int:
    """Make a call fail at about forty of its operations; returns how many more tensors exist afterwards."""
    counting = _Failing(-1, RuntimeError)
    with counting:
        call()
    before = _count_tensors()
    for number in range(0, counting.seen, max(1, counting.seen // 40)):
        kind = (torch.OutOfMemoryError, KeyboardInterrupt)[number % 2]
        try:
            with _Failing(number, kind):
                call()
        except kind:
            continue
        raise AssertionError(f"the call went through without operation {number}")
    return _count_tensors() - before


def _count_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(each), Tensor) for each in gc.get_objects())
