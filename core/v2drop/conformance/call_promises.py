"""Less common forms of a call: precomputed features, custom positions, packed sequences, losses, flash attention."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import VisionMaskError
from ..hf.calls import cache_argument, cache_in
from .cases import generate, random_case
from .flash_stand_in import flash_stand_in
from .generation_promises import GREEDY, GenerationPromises
from .input_promises import raises
from .samples import Inputs, in_one_row


class CallPromises(GenerationPromises):
    """What may be passed to a call beside token ids, pictures and a padding mask, and what it gives beside logits."""

    @torch.no_grad()
    def test_precomputed_features_are_media(self) -> None:
        """So with `mm_encoder_outputs` in place of pixels, where the stock model takes them: the same kept, the same logits.

        Without placeholders for them, they raise a VisionMaskError.
        """
        model, inputs = self.model(), self.batch(1, 0, 2)
        if "mm_encoder_outputs" not in self.arguments:
            raise SkipTest("the stock model takes none in this release of transformers")
        features = self._seen_by(
            self.adapter().inner_model(model), "mm_encoder_outputs", partial(model.generate, **inputs)
        )
        pixels = [name for name in inputs if name.startswith("pixel_values")]
        without = {name: value for name, value in inputs.items() if name not in pixels}
        with self.attach(model, self.halves) as run:
            found = model(**without, mm_encoder_outputs=features).logits
            assert run.report is not None, "mm_encoder_outputs are not among Adapter.media_inputs"
            kept = run.report.to_dict()
            wanted = model(**inputs).logits
            assert run.report.to_dict() == kept
            ids = inputs["input_ids"].masked_fill(self.is_vision(inputs), self.vocabulary.start)
            raises(VisionMaskError, partial(model, **{**without, "input_ids": ids}, mm_encoder_outputs=features))
        torch.testing.assert_close(found, wanted)

    @torch.no_grad()
    def test_truth_with_positions_of_ones_own(self) -> None:
        """`position_ids` that are passed are followed: twice as far apart, dropping still equals masking."""
        model, inputs = self.model(), self.batch(1, 2)
        self._equals_masking(model, {**inputs, "position_ids": 2 * self._positions(inputs)})

    @torch.no_grad()
    def test_truth_behind_a_ragged_batch_whose_last_words_were_cropped(self) -> None:
        """A turn shorter than the crop, behind the cache of samples with and without pictures."""
        model, inputs = self.model(), self.ending_in_text(1, 0, words=3)
        left = inputs["input_ids"].shape[1] - 3
        turn = {
            "input_ids": torch.full((2, 1), self.vocabulary.start),
            "attention_mask": F.pad(inputs["attention_mask"][:, :left], (0, 1), value=1),
            "position_ids": torch.full_like(self._positions(inputs)[..., :1], left),
        }
        found = []
        for way in (self.attach, self.masking):
            with way(model, self.halves):
                cache = cache_in(model(**inputs, use_cache=True))
                cache.crop(-3)
                found.append(model(**turn, **cache_argument(model, cache)).logits)
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_a_mask_may_go_on_behind_the_prompt(self) -> None:
        """As it does for a cache allocated once: the same tokens kept, the same logits, as with the prompt's part of it."""
        model, inputs = self.model(), self.batch(1, 2, padding_side="right")
        longer = {**inputs, "attention_mask": F.pad(inputs["attention_mask"], (0, 3))}
        try:
            model(**longer)
        except IndexError:
            self.skip_unless_stock(False, "takes no mask that is longer than the prompt")
        found = []
        with self.attach(model, self.halves) as run:
            for each in (inputs, longer):
                found.append(model(**each).logits[self.is_text(inputs)])
                assert run.report is not None
                found.append(torch.cat([torch.cat(rows) for rows in run.report.kept.values()]))
        torch.testing.assert_close(found[2:], found[:2])

    @torch.no_grad()
    def test_additive_masks_hide_only_what_they_hide(self) -> None:
        """A mask of one's own that weighs all keys less, each by as much, changes nothing."""
        model, inputs = self.model(), self._prompt_alone()
        given = {**inputs, "position_ids": self._positions(inputs)}
        hidden = torch.full((1, 1, *2 * inputs["input_ids"].shape[1:]), torch.finfo(torch.float32).min).triu(1)
        with self.attach(model, self.halves):
            found = [
                model(**given, attention_mask=hidden + weight).logits[~self.is_vision(inputs)] for weight in (0, -0.5)
            ]
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_truth_of_packed_sequences(self) -> None:
        """Two samples in one row, told apart by their positions alone: dropping equals masking, with flash attention too."""
        generator = torch.Generator().manual_seed(3)
        samples = [self.make_sample(generator, 1) for _ in range(2)]
        text = [torch.arange(sample["input_ids"].shape[1])[None] for sample in samples]
        positions = [self._positions(sample) for sample in samples]
        if positions[0].ndim == 3:  # M-RoPE: one more row marks where sequences start
            positions = [torch.cat([own[None], rope[-3:]]) for own, rope in zip(text, positions, strict=True)]
        packed, options = (
            in_one_row(samples) | {"position_ids": torch.cat(positions, dim=-1)},
            {"use_cache": False},
        )
        model = self.model()
        alone = model(**samples[1], **options).logits
        together = model(**packed, **options).logits[:, text[0].shape[1] :]
        stock = torch.allclose(alone, together, atol=1e-4)
        self.skip_unless_stock(stock, "does not tell packed sequences apart by their positions")
        wanted = self._equals_masking(model, packed, **options)
        flash = self._flash_model()
        with self.attach(flash, self.halves):
            found = flash(**packed, **options).logits[~self.is_vision(packed)]
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)

    def _equals_masking(self, model: Any, inputs: Inputs, **options: Any) -> Tensor:
        text = ~self.is_vision(inputs)
        if "attention_mask" in inputs:
            text &= inputs["attention_mask"].bool()
        with self.attach(model, self.halves) as run:
            dropped = model(**inputs, **options).logits[text]
        with self.masking(model, self.halves) as truth:
            masked = model(**inputs, **options).logits[text]
        assert run.report is not None
        assert {layer: [row.tolist() for row in rows] for layer, rows in run.report.kept.items()} == {
            layer: [row.tolist() for row in rows] for layer, rows in truth.kept.items()
        }
        torch.testing.assert_close(dropped, masked, atol=1e-4, rtol=1e-4)
        return dropped

    def _positions(self, inputs: Inputs) -> Tensor:
        """The position ids that the stock model computes itself."""
        language_model = self.adapter().language_model(self.model())
        found = self._seen_by(language_model, "position_ids", partial(self.model(), **inputs))
        samples, length = inputs["input_ids"].shape
        return torch.arange(length).expand(samples, -1) if found is None else found

    @staticmethod
    def _seen_by(module: Any, name: str, act: Callable[[], object]) -> Any:
        """The argument of that name in the first call of a module."""
        seen = []

        def record(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen.append(kwargs.get(name))

        handle = module.register_forward_pre_hook(record, with_kwargs=True)
        act()
        handle.remove()
        return seen[0]

    @torch.no_grad()
    def test_flash_attentions_contract_holds(self) -> None:
        """With a stand-in for flash attention: masks of real keys or None, queries the last of the keys; over turns."""
        self._gives_what_sdpa_gives(self._flash_model())

    @torch.no_grad()
    def test_flash_attention_over_a_static_cache(self) -> None:
        """So with that stand-in: what a growing cache gives, whether steps are compiled or not."""
        model, inputs = self._flash_model(), self.ending_in_text(1, 0, 2)
        ways: list[dict[str, Any]] = [{}, {"cache_implementation": "static"}, self._compiled_by("eager")]

        def logits() -> list[Tensor]:
            options = {**GREEDY, "return_dict_in_generate": True, "output_logits": True}
            return [torch.stack(model.generate(**inputs, **options, **way).logits) for way in ways]

        stock = logits()
        same = all(torch.allclose(stock[0], each, atol=1e-4) for each in stock)
        self.skip_unless_stock(same, "answers differently over static caches")
        with self.attach(model, self.halves):
            growing, *others = logits()
        for each in others:
            torch.testing.assert_close(each, growing, atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_flex_attention_gives_what_sdpa_gives(self) -> None:
        """So with flex_attention, whose masks are functions of places; over turns. It is not compiled here."""
        try:
            model = self.model("flex_attention")
        except ValueError as refused:
            self.skip_unless_stock("does not support" not in str(refused), "takes no flex_attention")
            raise
        with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
            self._gives_what_sdpa_gives(model)

    def _flash_model(self) -> Any:
        model = copy.deepcopy(self.model())
        self.library.AttentionInterface.register("flash_stand_in", flash_stand_in)
        mask = self.library.AttentionMaskInterface()["flash_attention_2"]
        self.library.AttentionMaskInterface.register("flash_stand_in", mask)
        model.set_attn_implementation({"text_config": "flash_stand_in"})
        return model

    def _gives_what_sdpa_gives(self, other: Any) -> None:
        for seed in range(4):
            later, layers = int(self.media_in_later_generate), range(self.first_stage, self.depth)
            case = random_case(seed, layers, self.make_sample, left=True, later_media=later)
            found = []
            for model in (other, self.model()):
                with self.attach(model, case.schedule):
                    found.append(generate(model, case))
            for step, wanted in zip(*found, strict=True):
                torch.testing.assert_close(step, wanted, atol=1e-4, rtol=1e-4, msg=f"{case}: {{}}".format)

    def test_loss_and_kept_logits_are_those_of_the_whole_output(self) -> None:
        """`logits_to_keep` gives the end of the logits, `labels` the loss of what was not dropped, both as masking does."""
        model, inputs = self.model(), self.ending_in_text(1, 2)
        labels = inputs["input_ids"].masked_fill(~self.is_text(inputs), -100)
        labels[:, 1:][self.is_vision(inputs)[:, :-1]] = -100  # a dropped token predicts nothing
        losses = []
        for way in (self.attach, self.masking):
            with way(model, self.halves), torch.no_grad():
                output = model(**inputs, labels=labels)
                losses.append(output.loss)
                torch.testing.assert_close(model(**inputs, logits_to_keep=2).logits, output.logits[:, -2:])
        torch.testing.assert_close(*losses)

    @torch.no_grad()
    def test_generation_returns_what_stock_generation_returns(self) -> None:
        """Scores, logits, hidden states and attentions of each step, in the stock model's shapes."""
        model, inputs = self.model("eager"), self.ending_in_text(1, 2)
        asked = ("scores", "logits", "hidden_states", "attentions")
        options: dict[str, Any] = {f"output_{name}": True for name in asked}
        shapes = []
        stock = model.generate(**inputs, **GREEDY, **options, return_dict_in_generate=True)
        with self.attach(model, self.halves):
            ours = model.generate(**inputs, **GREEDY, **options, return_dict_in_generate=True)
        for output in (stock, ours):
            shapes.append({name: [_shapes(step) for step in output[name]] for name in asked})
        assert shapes[0] == shapes[1]


def _shapes(step: Any) -> Any:
    return [list(layer.shape) for layer in step] if isinstance(step, tuple) else list(step.shape)
