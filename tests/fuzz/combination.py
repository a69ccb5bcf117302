"""A combination of everything that may vary in a use of an attached model."""

from __future__ import annotations

from dataclasses import dataclass

from support.subjects import SUBJECTS

from v2drop import Schedule
from v2drop.conformance.cases import Case

SUBJECT = {subject.adapter.model_types[0]: subject for subject in SUBJECTS}
LOOKAHEAD = ("prompt lookup", "assisted")
QWEN = ("qwen2_vl", "qwen2_5_vl")


@dataclass(frozen=True)
class Combination:
    """One example. Its repr is Python: paste it into an `@example(...)` to run it again.

    Attributes:
        architecture: the model type.
        media: of each sample, how many pictures or videos it has.
        stages: (layer, keep) of the schedule.
        seed: of words, sizes and pixels, and of sampling.
        masked: whether an attention mask is passed.
        form: what stands for the prompt, see `v2drop.conformance.cases.Case`.
        mode: how the model is called.
        answers: sequences that are returned for each prompt.
        later_media: media of each sample in a later turn on the same cache; None: there is no later turn.
        between: what is done before the later turn with the cache: a turn of words goes on in a copy of it, or in itself
            and is cropped away; or the cache is emptied, and the later turn is the first of another conversation.
    """

    architecture: str
    media: tuple[int, ...]
    stages: tuple[tuple[int, float], ...]
    min_tokens: int = 0
    seed: int = 0
    padding_side: str = "left"
    masked: bool = True
    form: str = "ids"
    metric: str = "l2"
    attention: str = "sdpa"
    mode: str = "forward"
    answers: int = 1
    cache: str = "dynamic"
    later_media: int | None = None
    between: str = "nothing"

    @property
    def subject(self):
        return SUBJECT[self.architecture]

    @property
    def is_lookahead(self):
        """Whether several tokens are verified at once, and only tokens are promised: those of greedy generation."""
        return self.mode in LOOKAHEAD

    def case(self):
        """The inputs, for the conformance kit."""
        return Case.of(
            self.subject.make_sample,
            self.seed,
            self.media,
            self.later_media,
            self.padding_side,
            schedule=Schedule(self.stages, min_tokens=self.min_tokens),
            attention=self.attention,
            masked=self.masked,
            metric=self.metric,
            form=self.form,
        )
