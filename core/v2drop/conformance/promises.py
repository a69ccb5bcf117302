"""What v2drop promises for every architecture besides the truth test, one test per promise."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from ..hf.calls import cache_argument, cache_in
from ..registry import get_adapter
from ..report import DropReport
from ..runtime.attachment import Attachment
from ..schedule import Schedule
from .fault_promises import FaultPromises
from .generation_promises import GREEDY
from .input_promises import InputPromises
from .refusal_promises import RefusalPromises
from .samples import Inputs, collate
from .training_promises import TrainingPromises


def report_of(run: Attachment) -> DropReport:
    """The report of the last call; fails if there is none."""
    assert run.report is not None, "a call with media left no report"
    return run.report


class AdapterConformance(FaultPromises, InputPromises, TrainingPromises, RefusalPromises):
    """What every adapter keeps to.

    Inherit from it in a test file. The subclass, whose name starts with ``Test``, says what to test (see `Subject`).
    """

    @torch.no_grad()
    def test_keeping_everything_is_bit_equal_to_stock(self) -> None:
        """With keep=1.0 everywhere, logits and generated tokens are those of the stock model, bit by bit."""
        everything = Schedule([(layer, 1.0) for layer in range(self.first_stage, self.depth)])
        for attention in ("sdpa", "eager"):
            model, inputs = self.model(attention), self.batch(1, 0, 2)
            stock, generated = model(**inputs).logits, model.generate(**inputs, **GREEDY)
            with self.attach(model, everything) as run:
                assert torch.equal(model(**inputs).logits, stock)
                assert torch.equal(model.generate(**inputs, **GREEDY), generated)
                assert report_of(run).retained == 1

    @torch.no_grad()
    def test_a_batch_gives_what_single_runs_give(self) -> None:
        """Samples with different media, left and right padded, alone and together: the same tokens kept, the same logits."""
        for side in ("left", "right"):
            model, generator = self.model(), torch.Generator().manual_seed(1)
            samples = [self.make_sample(generator, media) for media in (1, 0, 3, 2)]
            inputs = collate(samples, side)
            with self.attach(model, self.halves) as run:
                together, report = model(**inputs).logits, report_of(run)
                for row, sample in enumerate(samples):
                    real = inputs["attention_mask"][row].bool()
                    single = model(**sample).logits[0]
                    text = self.is_text(collate([sample], side))[0]
                    torch.testing.assert_close(together[row][real][text], single[text], atol=1e-4, rtol=1e-4)
                    first = int(real.nonzero()[0])
                    for layer, rows in report.kept.items():
                        alone = report_of(run).kept[layer][0].tolist() if row != 1 else []  # sample 1 has no media
                        assert [int(position) - first for position in rows[row]] == alone

    @torch.no_grad()
    def test_both_padding_sides_give_the_same(self) -> None:
        """A batch padded on the left and on the right gives the same logits."""
        model, logits = self.model(), []
        with self.attach(model, self.halves):
            for side in ("left", "right"):
                inputs = self.batch(2, 0, 1, seed=2, padding_side=side)
                logits.append(model(**inputs).logits[self.is_text(inputs)])
        torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_generation_with_a_cache_equals_generation_without(self) -> None:
        """Greedy tokens and logits are the same with use_cache=True and False."""
        self.skip_if_text_is_read()
        model, inputs = self.model(), self.ending_in_text(1, 2, 0)
        stock = [model.generate(**inputs, **GREEDY, use_cache=use) for use in (True, False)]
        self.skip_unless_stock(torch.equal(*stock), "answers differently without a cache")
        with self.attach(model, self.halves):
            options = {**GREEDY, "return_dict_in_generate": True, "output_logits": True}
            cached, uncached = (model.generate(**inputs, **options, use_cache=use) for use in (True, False))
        assert torch.equal(cached.sequences, uncached.sequences)
        for one, other in zip(cached.logits, uncached.logits, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_the_cache_holds_what_the_schedule_predicts(self) -> None:
        """Each layer's keys are text and the vision tokens alive; the report's bytes are the cache's."""
        model, inputs = self.model(), self.ending_in_text(3)
        with self.attach(model, self.halves) as run:
            cache = cache_in(model(**inputs, use_cache=True))
        report = report_of(run)
        vision = int(self.is_vision(inputs).sum())
        alive = self.halves.tokens_per_layer(self.depth, vision)
        text = inputs["input_ids"].shape[1] - vision
        assert [layer.keys.shape[2] for layer in cache.layers] == [text + count for count in alive]
        assert report.tokens_per_layer == list(alive)
        held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        assert report.kv_bytes.dropped == held, "Adapter.dimensions: key-value heads, head_dim or layers are wrong"
        assert report.flops.dropped < report.flops.dense

    @torch.no_grad()
    def test_output_has_the_stock_shape(self) -> None:
        """Hidden states come back at their original positions, with zeros where tokens were dropped."""
        model, inputs = self.model(), self.batch(1, 2, seed=4)
        with self.attach(model, self.halves) as run:
            hidden = self.adapter().inner_model(model)(**inputs).last_hidden_state
        gone = self.is_vision(inputs)
        for row, positions in enumerate(report_of(run).kept[self.depth - 1]):
            gone[row, positions] = False
        assert hidden.shape[:2] == inputs["input_ids"].shape
        assert (hidden[gone] == 0).all()
        assert (hidden[self.is_text(inputs)] != 0).any(-1).all()

    @torch.no_grad()
    def test_hidden_states_and_attentions_have_stock_shapes(self) -> None:
        """So in a prompt and in the step behind it; attention rows of text still sum to one, over what was kept."""
        model, inputs = self.model("eager"), self._prompt_alone()
        for options in ({}, {"return_dict": False}):
            with self.attach(model, self.halves):
                self._check_shapes(model, inputs, **options)

    def _check_shapes(self, model: Any, inputs: Inputs, **options: Any) -> None:
        cache, past = None, 0
        for turn in (inputs, {"input_ids": self._turns()[0]}):
            length = turn["input_ids"].shape[1]
            asked = {"output_hidden_states": True, "output_attentions": True, "use_cache": True, **options}
            output = model(**turn, **cache_argument(model, cache), **asked)
            values = list(output if isinstance(output, tuple) else output.values())
            tuples = [value for value in values if type(value) is tuple]
            hidden, attentions = (next(v for v in tuples if v[0].ndim == ndim) for ndim in (3, 4))
            assert [list(each.shape[:2]) for each in hidden] == [[1, length]] * (self.depth + 1)
            assert [list(each.shape[2:]) for each in attentions] == [[length, past + length]] * self.depth
            text = ~self.is_vision(turn)[0]
            for weights in attentions:
                torch.testing.assert_close(weights.sum(-1)[0, :, text], torch.ones_like(weights[0, :, text, 0]))
            dropped = (attentions[-1][0].sum((0, 1)) == 0).nonzero()
            assert set(self.is_vision(inputs)[0].nonzero().flatten().tolist()) <= set(dropped.flatten().tolist())
            cache = next(value for value in values if hasattr(value, "get_seq_length"))
            past = length

    @torch.no_grad()
    def test_low_precision_stays_finite(self) -> None:
        """bfloat16 works, in ragged batches too; scores are those of float32."""
        for seed in range(8):
            self._check_low_precision(self.ending_in_text(3, 0, 3, seed=seed))

    def _check_low_precision(self, inputs: Inputs) -> None:
        model = self.model(dtype=torch.bfloat16)
        inputs = {name: value.bfloat16() if value.is_floating_point() else value for name, value in inputs.items()}
        stage, layers = self.first_stage, self.adapter().decoder_layers(model)
        seen: dict[int, Tensor] = {}
        handles = [
            layers[number].register_forward_pre_hook(lambda _, args, number=number: seen.update({number: args[0]}))
            for number in (stage - 1, stage)
        ]  # before attaching, so that these see the full inputs
        with self.attach(model, self.halves) as run:
            assert model(**inputs).logits[self.is_text(inputs)].isfinite().all()
        for handle in handles:
            handle.remove()
        if self.method != "v2drop":
            return
        scores = (seen[stage].double() - seen[stage - 1].double()).norm(dim=-1)
        for row in (0, 2):
            kept, dropped = report_of(run).kept[stage][row], self.is_vision(inputs)[row]
            dropped[kept] = False
            assert scores[row, kept].min() >= scores[row, dropped].max() * (1 - 1e-6)

    @torch.no_grad()
    def test_not_a_number_is_reported_and_stays(self) -> None:
        """A vision token whose hidden state overflowed is counted in the report; V2Drop keeps it, as stock models do."""
        if self.method != "v2drop":
            raise SkipTest(f"{self.method} does not score by variation")
        model, inputs = self.model(), self.ending_in_text(2)
        broken = int(self.is_vision(inputs)[0].nonzero()[-1])

        def overflow(value: float, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            hidden = args[0].clone()
            hidden[0, broken] = value
            return (hidden, *args[1:]), kwargs

        stage = self.first_stage
        layer = self.adapter().decoder_layers(model)[stage]
        for value in (torch.inf, torch.nan):
            handle = layer.register_forward_pre_hook(partial(overflow, value), with_kwargs=True)
            try:
                with self.attach(model, Schedule([(stage, 0.5)])) as run:
                    model(**inputs)
            finally:
                handle.remove()
            assert report_of(run).nonfinite == 1
            assert broken in report_of(run).kept[stage][0].tolist()
        with self.attach(model, self.halves) as run:
            model(**inputs)
        assert report_of(run).nonfinite == 0

    def test_the_adapter_is_found_by_model_type(self) -> None:
        """Its distribution is installed and registers it in the entry-point group `v2drop.adapters`."""
        assert type(get_adapter(self.model())) is self.adapter

    @torch.no_grad()
    def test_detaching_restores_the_model(self) -> None:
        """Leaving the with block, also by an exception, leaves the stock model; a failed call leaves no traces."""
        model, inputs = self.model(), self.batch(1, 0)
        stock, hooks = model(**inputs).logits, self._hooks(model)
        with self.attach(model, self.halves) as run:
            dropped = model(**inputs).logits
            self._fail_in_a_layer(model, inputs, layer=self.depth // 2)
            assert torch.equal(model(**inputs).logits, dropped), "the call after a failed one is wrong"
        assert self._hooks(model) == hooks
        assert torch.equal(model(**inputs).logits, stock)
        assert not torch.equal(dropped, stock)
        assert report_of(run).retained < 1, "a report outlives its attachment"

    @staticmethod
    def _hooks(model: Any) -> list[object]:
        modules = list(model.modules())
        return [h for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks) for h in hooks.values()]
