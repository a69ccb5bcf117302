"""The tested architecture: how its tiny model and inputs are made."""

from __future__ import annotations

import inspect
import sys
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import torch
from torch import Tensor, nn

from ..adapter import Adapter
from ..attaching import attach
from ..methods import methods
from ..runtime.attachment import Attachment
from ..schedule import Schedule
from .samples import PAD, Inputs, collate, random_prompt
from .truth import MaskingTruth


class Subject:
    """Inherit from it in a test file; the subclass says what to test, and its name starts with ``Test``.

    Attributes:
        adapter: the adapter's class.
        placeholders: token ids of pictures and videos.
        vocabulary: token ids of words; none of them has a special meaning to the model.
        cases: approximate number of random cases in all truth tests together.
        method: name of the tested method.
        media_in_later_generate: whether the stock model's `generate` takes new media with a filled cache.
    """

    adapter: ClassVar[type[Adapter]]
    placeholders: ClassVar[Sequence[int]]
    vocabulary: ClassVar[range] = range(3, 90)
    cases: ClassVar[int] = 150
    method: ClassVar[str] = "v2drop"
    media_in_later_generate: ClassVar[bool] = True

    @abstractmethod
    def build_model(self) -> nn.Module:
        """A tiny stock model made from a config, with at least 4 decoder layers after the adapter's first stage.

        The kit scales its weights up, so that layers differ.
        """

    @abstractmethod
    def make_sample(self, generator: torch.Generator, media: int) -> Inputs:
        """Inputs of one sample with `media` pictures or videos of random kinds and sizes, as the processor makes them.

        Build `input_ids` with `self.prompt(generator, runs)`. For 0 media, leave out all inputs that only media need.
        """

    def prompt(self, generator: torch.Generator, runs: Sequence[Tensor]) -> Tensor:
        """Token ids [1, S] of random words around `runs`, the token ids of each picture or video."""
        return random_prompt(generator, runs, self.vocabulary)

    def model(self, attention: str = "sdpa", dtype: torch.dtype = torch.float32) -> Any:
        """The tiny model, built once for each attention implementation and dtype."""
        made = type(self).__dict__.get("_made")
        if made is None:
            made = {}
            type(self)._made = made  # type: ignore[attr-defined]
        if (attention, dtype) not in made:
            made[attention, dtype] = self._make(attention, dtype)
        return made[attention, dtype]

    def _make(self, attention: str, dtype: torch.dtype) -> Any:
        torch.manual_seed(0)
        model: Any = self.build_model().eval()
        inside = {id(weight) for layer in self.adapter().decoder_layers(model) for weight in layer.parameters()}
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:  # as they start, layers hardly change anything, and scores would be too close
                    weight.mul_(5 if id(weight) in inside else 10)
        words = set(self.vocabulary)
        silent = [token for token in range(model.get_input_embeddings().num_embeddings) if token not in words]
        model.generation_config.suppress_tokens = silent
        # answers of a fixed length are easier to compare, so the end-of-sequence token is never generated
        model.generation_config.eos_token_id = next(t for t in silent if t != PAD and t not in self.placeholders)
        model.set_attn_implementation(attention)
        return model.to(dtype)

    def attach(self, model: Any, schedule: Schedule) -> Attachment:
        """Attach the tested adapter and method."""
        return attach(model, schedule, adapter=self.adapter(), method=self.method)

    def masking(self, model: Any, schedule: Schedule, **options: Any) -> MaskingTruth:
        """Like `attach`, with masking instead of dropping."""
        return MaskingTruth(model, schedule, self.adapter(), self.placeholders, method=self.method, **options)

    def batch(self, *media: int, seed: int = 0, padding_side: str = "left") -> Inputs:
        """Inputs of samples with these numbers of media."""
        generator = torch.Generator().manual_seed(seed)
        return collate([self.make_sample(generator, count) for count in media], padding_side)

    def ending_in_text(self, *media: int, seed: int = 0, words: int = 1) -> Inputs:
        """Like `batch`, but each sample ends in `words` text tokens: a last vision token stays only while it is last."""
        batches = (self.batch(*media, seed=1000 * seed + attempt) for attempt in range(100))
        return next(inputs for inputs in batches if not self.is_vision(inputs)[:, -words:].any())

    @property
    def library(self) -> Any:
        """transformers, reached through the model, since the core does not import it."""
        return sys.modules[type(self.model()).__module__.partition(".")[0]]

    @property
    def is_transformers_5_0(self) -> bool:
        """Whether stock models are those of transformers 5.0, which support less; skipped tests say what."""
        return str(self.library.__version__).startswith("5.0.")

    @property
    def most_media_of_beams(self) -> int:
        """Most media per sample in beam search: some transformers releases mix up a sample's media between its beams."""
        model, logits = self.model(), []
        with model.register_forward_hook(lambda *call: logits.append(call[-1].logits)):
            model.generate(**self.batch(3), num_beams=2, max_new_tokens=1)
        first, second = logits[0]
        return 3 if torch.allclose(first, second, atol=1e-4, rtol=1e-4) else 1

    @property
    def arguments(self) -> Sequence[str]:
        """Names of the inner model's arguments."""
        return list(inspect.signature(self.adapter().inner_model(self.model()).forward).parameters)

    @property
    def halves(self) -> Schedule:
        """A schedule that keeps half of the tokens, then half of those, then none."""
        first = self.first_stage
        return Schedule([(first, 0.5), ((first + self.depth) // 2, 0.5), (self.depth - 1, 0.0)])

    @property
    def first_stage(self) -> int:
        return self.adapter().first_stage(self.model())

    @property
    def depth(self) -> int:
        return len(self.adapter().decoder_layers(self.model()))

    @staticmethod
    def skip_unless_stock(holds: bool, what: str) -> None:
        """Skip a test that the stock model itself fails in this release of transformers."""
        if not holds:
            raise SkipTest(f"the stock model itself {what}")

    def skip_if_text_is_read(self) -> None:
        """Skip a test that cannot hold for methods whose scores depend on the text after a picture."""
        if methods()[self.method].reads_text:
            raise SkipTest(f"in {self.method} what is taken together with the prompt has a say")

    def is_vision(self, inputs: Inputs) -> Tensor:
        """bool [B, S], True at placeholders."""
        return torch.isin(inputs["input_ids"], torch.tensor(list(self.placeholders)))

    def is_text(self, inputs: Inputs) -> Tensor:
        """bool [B, S], True at real text tokens; only these are compared, since dropped tokens have no output."""
        return inputs["attention_mask"].bool() & ~self.is_vision(inputs)
