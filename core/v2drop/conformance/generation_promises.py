"""The truth test in less common kinds of generation, and on caches that are cropped, copied or filled in chunks."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..hf.calls import cache_argument, cache_in
from .cases import generate
from .samples import Inputs
from .truth_promises import TruthPromises

GREEDY: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}


class GenerationPromises(TruthPromises):
    """What else `generate` can do, and what users do with caches between two calls."""

    def test_truth_in_constrained_generation(self) -> None:
        """So where a constraint forbids most tokens in each step."""

        def even(sample: int, tokens: Tensor) -> list[int]:
            return [token for token in self.vocabulary if (token + len(tokens)) % 2]

        self._hold(9000, 0.05, partial(generate, prefix_allowed_tokens_fn=even), left=True)

    def test_truth_where_the_prompt_is_taken_in_chunks(self) -> None:
        """So with prefill_chunk_size, where the stock model can: each chunk's vision tokens compete with each other."""
        self.skip_unless_stock(self._splits_media(), "cannot split pictures")
        self._hold(9500, 0.1, partial(generate, prefill_chunk_size=9), left=True)

    def _splits_media(self) -> bool:
        try:
            self.model().generate(**self.batch(1, 2), **GREEDY, prefill_chunk_size=9)
        except Exception:  # the error depends on the release
            return False
        return True

    def test_prompt_lookup_gives_what_greedy_generation_gives(self) -> None:
        """Candidates from the prompt are verified together, and rejected ones cropped from every layer's cache."""
        self._equals_greedy(prompt_lookup_num_tokens=3)

    def test_assisted_generation_gives_what_greedy_generation_gives(self) -> None:
        """So with a draft model, whose first candidates are verified together with the prompt."""
        self._equals_greedy(assistant_model=self._draft())

    def _draft(self) -> Any:
        draft = copy.deepcopy(self.model())
        draft.generation_config.num_assistant_tokens = 3
        layers = self.adapter().decoder_layers(draft)
        with torch.no_grad():  # a draft model that is sometimes wrong
            for weight in layers[-1].parameters():
                weight.mul_(0.5)
        return draft

    @torch.no_grad()
    def _equals_greedy(self, **options: Any) -> None:
        self.skip_if_text_is_read()
        for seed in range(4):
            model, inputs = self.model(), self.ending_in_text(1 + seed % 2, seed=seed)
            stock, assisted = (model.generate(**inputs, **GREEDY, **more) for more in ({}, options))
            self.skip_unless_stock(_starts_with(assisted, stock), "answers differently when it is assisted")
            with self.attach(model, self.halves):
                greedy = model.generate(**inputs, **GREEDY)
                assisted = model.generate(**inputs, **GREEDY, **options)
            assert _starts_with(assisted, greedy)

    @torch.no_grad()
    def test_a_static_cache_gives_what_a_growing_one_gives(self) -> None:
        """So for ragged, padded batches, sdpa and eager attention."""
        for attention in ("sdpa", "eager"):
            model, inputs = self.model(attention), self.ending_in_text(2, 0, 1)
            options = {**GREEDY, "return_dict_in_generate": True, "output_logits": True}
            with self.attach(model, self.halves) as run:
                growing = model.generate(**inputs, **options)
                kept = run.report.to_dict() if run.report else None
                static = model.generate(**inputs, **options, cache_implementation="static")
                assert run.report is not None
                assert run.report.to_dict() == kept
            assert torch.equal(static.sequences, growing.sequences)
            for one, other in zip(static.logits, growing.logits, strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_a_compiled_step_serves_every_step(self) -> None:
        """Decode steps compiled over a static cache give the same tokens, and are compiled as often as the stock model's.

        So where the model was compiled before it was attached to, and after it was detached from.
        """
        model, inputs = copy.deepcopy(self.model()), self.ending_in_text(1, 0, 2)
        graphs: list[object] = []

        def count(graph: Any, _: object) -> Any:
            graphs.append(graph)
            return graph.forward

        compiled, made = self._compiled_by(count), []
        for attached in (False, True, False):
            with self.attach(model, self.halves) if attached else nullcontext():
                wanted = model.generate(**inputs, **GREEDY)
                graphs.clear()
                assert torch.equal(model.generate(**inputs, **GREEDY, **compiled), wanted)
            made.append(len(graphs))
        assert made[0] == made[1], f"{made[1]} graphs were compiled, for the stock model {made[0]}"

    def _compiled_by(self, backend: Any) -> dict[str, Any]:
        """Options of `generate`: steps compiled over a static cache."""
        torch.compiler.reset()  # torch compiles at most eight variants of a function, including those of other tests
        settings = self.library.CompileConfig(backend=backend, mode=None)
        settings._compile_all_devices = True  # off by default on CPUs
        return {"cache_implementation": "static", "compile_config": settings}

    @torch.no_grad()
    def test_streamed_tokens_are_those_that_are_returned(self) -> None:
        """A streamer gets the prompt and then token for token."""
        streamed: list[Tensor] = []

        class Streamer:
            def put(self, value: Tensor) -> None:
                streamed.append(value.flatten())

            def end(self) -> None:
                streamed.append(torch.tensor([], dtype=torch.long))

        model, inputs = self.model(), self.batch(2)
        with self.attach(model, self.halves):
            output = model.generate(**inputs, **GREEDY, streamer=Streamer())
        assert torch.equal(torch.cat(streamed), output[0])
        assert not len(streamed[-1])

    @torch.no_grad()
    def test_a_copied_cache_branches_a_conversation(self) -> None:
        """Two turns behind copies of one cache give what they give behind caches of their own."""
        model, inputs = self.model(), self._prompt_alone()
        with self.attach(model, self.halves):
            cache = cache_in(model(**inputs, use_cache=True))
            branches = [model(turn, **cache_argument(model, copy.deepcopy(cache))).logits for turn in self._turns()]
            for turn, branch in zip(self._turns(), branches, strict=True):
                own = cache_in(model(**inputs, use_cache=True))
                torch.testing.assert_close(
                    branch, model(turn, **cache_argument(model, own)).logits, atol=1e-5, rtol=1e-5
                )

    @torch.no_grad()
    def test_a_cache_cropped_back_to_the_prompt_goes_on_as_before(self) -> None:
        """A turn behind a cache that was cropped gives what it gives behind a cache that never went further."""
        model, inputs = self.model(), self._prompt_alone()
        first, second = self._turns()
        with self.attach(model, self.halves):
            cache = cache_in(model(**inputs, use_cache=True))
            fresh = copy.deepcopy(cache)
            model(first, **cache_argument(model, cache))
            try:
                cache.crop(inputs["input_ids"].shape[1])  # transformers 5.0 takes the length to keep
            except (ValueError, RuntimeError):  # later ones take the number of tokens to remove, as a negative number
                cache.crop(-first.shape[1])
            found, wanted = (model(second, **cache_argument(model, each)).logits for each in (cache, fresh))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)

    @torch.no_grad()
    def test_truth_where_a_turn_quotes_a_placeholder(self) -> None:
        """Without media a placeholder's id is a word, as it is to the stock model, whoever wrote it."""
        model, inputs, turn = self.model(), self._prompt_alone(), self._turns()[0]
        turn[:, 1] = self.placeholders[0]
        found = []
        for way in (self.attach, self.masking):
            with way(model, self.halves):
                cache = cache_in(model(**inputs, use_cache=True))
                found.append(model(turn, **cache_argument(model, cache)).logits)
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)

    def _prompt_alone(self) -> Inputs:
        """One sample without a mask: behind a filled cache, stock Qwen2-VL does not cut a mask's positions to the turn."""
        return {name: value for name, value in self.ending_in_text(2).items() if name != "attention_mask"}

    def _turns(self) -> list[Tensor]:
        generator, words = torch.Generator().manual_seed(0), self.vocabulary
        return [torch.randint(words.start, words.stop, (1, 3), generator=generator) for _ in range(2)]


def _starts_with(assisted: Tensor, greedy: Tensor) -> bool:
    """Whether tokens are the same; transformers 5.0 may return one more than requested."""
    return torch.equal(assisted[:, : greedy.shape[1]], greedy)
