"""The truth test: dropping a token at layer L equals keeping it and masking it as a key in every layer from L on."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..hf.calls import cache_argument, cache_in
from ..schedule import Schedule
from .cases import Case, generate, random_case
from .comparison import CLOSE, Act, equals_masking
from .subject import Subject


class TruthPromises(Subject):
    """Random cases of everything that a user does with a model, each with dropping and with masking."""

    @torch.no_grad()
    def test_truth_of_the_masking_side(self) -> None:
        """Masking nothing is the stock model, so that the other truth tests can be trusted."""
        model, inputs = self.model(), self.batch(1, 2, 0)
        stock = model(**inputs).logits[self.is_text(inputs)]
        everything = Schedule([(self.first_stage, 1.0)])
        with self.masking(model, everything):
            masked = model(**inputs).logits[self.is_text(inputs)]
        explained = (
            "attention is not plainly causal; see v2drop docs adding-an-architecture, 'What cannot work': {}".format
        )
        torch.testing.assert_close(masked, stock, atol=1e-4, rtol=1e-4, msg=explained)

    def test_truth_in_a_forward_pass(self) -> None:
        """Kept sets are equal exactly, logits to 1e-4."""
        self._hold(1000, 0.3, self._forward, left=False)

    def test_truth_without_a_cache(self) -> None:
        """So in a forward pass with use_cache=False."""
        self._hold(2000, 0.1, partial(self._forward, use_cache=False), left=False)

    def test_truth_with_embeddings_instead_of_ids(self) -> None:
        """So with inputs_embeds, the vision tokens marked by the caller."""
        self._hold(2500, 0.05, self._forward, left=False, form="marked embeds")

    def test_truth_in_generation(self) -> None:
        """So in greedy generation, in every step."""
        self._hold(3000, 0.15, generate, left=True)

    def test_truth_in_generation_without_a_cache(self) -> None:
        """So in generation with use_cache=False."""
        self._hold(4000, 0.1, partial(generate, use_cache=False), left=True)

    def test_truth_in_sampling_several_answers(self) -> None:
        """So in sampling two answers to each prompt."""
        self._hold(5000, 0.1, partial(generate, do_sample=True, num_return_sequences=2), left=True)

    def test_truth_in_beam_search(self) -> None:
        """So with three beams, which trade caches with each other."""
        act = partial(generate, num_beams=3, num_return_sequences=2)
        self._hold(6000, 0.1, act, left=True, most_media=self.most_media_of_beams)

    def test_truth_in_a_later_turn(self) -> None:
        """So where a second question follows the first answer, on the same cache."""
        self._hold(7000, 0.1, generate, left=True, later_media=0)

    def test_truth_in_a_later_turn_with_new_media(self) -> None:
        """So where a new picture or video follows, on the same cache."""
        if self.media_in_later_generate:
            self._hold(8000, 0.1, generate, left=True, later_media=1)
        else:
            self._hold(8000, 0.1, self._two_forwards, left=True, later_media=1, most_samples=1)

    def _hold(self, seed: int, share: float, act: Act, **options: Any) -> None:
        count, layers = max(1, round(self.cases * share)), range(self.first_stage, self.depth)
        cases = [random_case(number, layers, self.make_sample, **options) for number in range(seed, seed + count)]
        skipped = [case.seed for case in cases if not equals_masking(self, case, act)]
        decided = [case for case in cases if any(case.media) and case.seed not in skipped]
        print(f"{count} random cases, {len(skipped)} of them skipped for scores closer than {CLOSE}")
        assert len(skipped) <= max(1, count // 3), f"too many cases with close scores: seeds {skipped}"
        assert decided, "no case was decided: raise `cases`"

    @torch.no_grad()
    def _forward(self, model: Any, case: Case, **options: Any) -> list[Tensor]:
        return [model(**case.given(model), **options).logits[self.is_text(case.inputs)]]

    @torch.no_grad()
    def _two_forwards(self, model: Any, case: Case) -> list[Tensor]:
        logits, cache = [], None
        for turn in (case.inputs, case.later):
            assert turn is not None
            inputs = {name: value for name, value in turn.items() if name != "attention_mask"}
            output = model(**inputs, **cache_argument(model, cache), use_cache=True)
            cache = cache_in(output)
            logits.append(output.logits[self.is_text(turn)])
        return logits
