"""Random cases of the truth test, and the user's actions in each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..hf.calls import cache_argument, cache_in
from ..schedule import Schedule
from .samples import Inputs, collate

SHARES = (0, 0.1, 0.25, 0.3, 0.5, 0.5, 0.75, 0.95, 1)
STEPS = 5

MakeSample = Callable[[torch.Generator, int], Inputs]


@dataclass(frozen=True)
class Case:
    """What is said to a model and what is dropped when; made by `Case.of`.

    Attributes:
        seed: seed of words, sizes, pixels and sampling.
        media: number of pictures or videos of each sample.
        inputs: the samples, as one batch with an attention mask.
        later: the samples of a later turn, if there is one.
        masked: whether the attention mask is passed.
        form: "ids", "embeds" (in place of ids), or "marked embeds", where the caller assigns a vision mask.
    """

    seed: int
    media: tuple[int, ...]
    schedule: Schedule
    inputs: Inputs
    later: Inputs | None = None
    attention: str = "sdpa"
    padding_side: str = "left"
    masked: bool = True
    metric: str = "l2"
    form: str = "ids"

    @classmethod
    def of(
        cls, make_sample: MakeSample, seed: int, media: Sequence[int], later_media: int | None, side: str, **rest: Any
    ) -> Case:
        """A case with `media` of each sample, padded on `side`, and `later_media` of each in a later turn."""
        generator = torch.Generator().manual_seed(seed)
        inputs = collate([make_sample(generator, count) for count in media], side)
        later = None if later_media is None else collate([make_sample(generator, later_media) for _ in media], "left")
        return cls(seed=seed, media=tuple(media), inputs=inputs, later=later, padding_side=side, **rest)

    def of_one_length(self) -> Case:
        """This case with words in place of padding: the mask is all ones, and stock models build theirs without it."""
        padding, ids = self.inputs["attention_mask"] == 0, self.inputs["input_ids"]
        first = ids.gather(1, padding.int().argmin(1, keepdim=True))
        filled = {"input_ids": ids.where(~padding, first), "attention_mask": torch.ones_like(ids)}
        return replace(self, inputs=self.inputs | filled, padding_side="nowhere")

    def given(self, model: Any) -> Inputs:
        """The inputs in the form of this case: with or without an attention mask, as ids or embeddings."""
        inputs = {name: value for name, value in self.inputs.items() if self.masked or name != "attention_mask"}
        if self.form != "ids":
            inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
        return inputs

    def __str__(self) -> str:
        masked = "" if self.masked else "no mask, "
        how = f"{masked}{self.attention}, {self.metric}, {self.form}"
        return f"case {self.seed}: media {self.media}, padded {self.padding_side}, {how}, {self.schedule}"


def random_case(
    seed: int,
    layers: range,
    make_sample: MakeSample,
    *,
    left: bool,
    most_media: int = 3,
    later_media: int | None = None,
    most_samples: int = 4,
    form: str = "ids",
) -> Case:
    """A case drawn from its seed: 1 to 4 samples with 0 to 3 media each, padded on one side or not, and 1 to 3 cuts.

    Args:
        layers: the decoder layers before which tokens may be dropped.
        left: pad on the left only, as `generate` expects.
        most_media: maximum number of media per sample.
        later_media: media of each sample in a later turn; None: there is no later turn.
        most_samples: maximum number of samples.
        form: see `Case`. Embeddings come with a mask: without one, Qwen2-VL of transformers 5.0 reads the ids.
    """
    rng = random.Random(seed)
    samples = min(rng.choice([1, 1, 2, 3, 4]), most_samples)
    media = tuple(min(rng.choice([0, 1, 1, 2, 3]), most_media) for _ in range(samples))
    cuts = sorted(rng.sample(layers, min(rng.choice([1, 2, 3]), len(layers))))
    side = "left" if left else rng.choice(["left", "right"])
    case = Case.of(
        make_sample,
        seed,
        media,
        later_media,
        side,
        attention=rng.choice(["sdpa", "sdpa", "eager"]),
        masked=samples > 1 or rng.random() < 0.7 or form != "ids",
        schedule=Schedule([(layer, rng.choice(SHARES)) for layer in cuts], min_tokens=rng.choice([0, 0, 1, 3])),
        form=form,
    )
    return case.of_one_length() if samples > 1 and rng.random() < 0.3 else case


@torch.no_grad()
def generate(model: Any, case: Case, **options: Any) -> list[Tensor]:
    """Generate, and again after a later turn if there is one; returns the tokens and each step's logits."""
    options = {
        "max_new_tokens": STEPS,
        "return_dict_in_generate": True,
        "output_logits": True,
        "do_sample": False,
    } | options
    torch.manual_seed(case.seed)
    first = model.generate(**case.given(model), **options)
    steps = [first.sequences.float(), *first.logits]
    if case.later is None:
        return steps
    later = behind(case.inputs, first.sequences, case.later)
    second = model.generate(**later, **options, **cache_argument(model, cache_in(first)))
    return [*steps, second.sequences.float(), *second.logits]


def behind(inputs: Inputs, sequences: Tensor, later: Inputs) -> Inputs:
    """Inputs of the later turn: whole sequences, including the conversation so far, and only the new media."""
    answered = sequences.shape[1] - inputs["input_ids"].shape[1]
    whole = {}
    for name, value in later.items():
        if name == "input_ids":
            whole[name] = torch.cat([sequences, value], dim=1)
        elif value.shape == later["input_ids"].shape:
            said = inputs[name] if name in inputs else torch.zeros_like(inputs["input_ids"])
            fill = said.new_full((said.shape[0], answered), int(name == "attention_mask"))
            whole[name] = torch.cat([said, fill, value], dim=1)
        else:
            whole[name] = value
    return whole
