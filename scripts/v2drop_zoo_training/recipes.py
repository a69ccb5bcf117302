"""The zoo's models: how each is built, what it is shown, what it starts from and for how long it is trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedTokenizerFast

from v2drop_zoo import CHECKPOINTS
from v2drop_zoo.media import SHOWN, MediaKind
from v2drop_zoo.questions import ANSWER_WORDS, MOTION_WORDS, QUESTION_WORDS
from v2drop_zoo.scenes import PLACES, SQUARES

from .builders import build_llava, build_llava_next, build_qwen2_vl
from .tokens import SPECIAL, VIDEO_SPECIAL, build_tokenizer


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train. Steps count over all processes together; pictures are per process."""

    seed: int = 0
    vision_steps: int = 800
    young_steps: int = 1600
    steps: int = 1500
    vision_pictures: int = 16
    pictures: int = 4
    questions: int = 20
    penalty: float = 0.3
    processes: int = 2
    matrix_rate: float = 0.02
    rate: float = 3e-3
    save_every: int = 200

    @property
    def total(self) -> int:
        return self.vision_steps + self.young_steps + self.steps


@dataclass(frozen=True)
class Recipe:
    """One model of the zoo.

    Attributes:
        builder: makes model and processor around a tokenizer, untrained.
        media: what it is shown, each equally often.
        special: its tokenizer's special tokens.
        words: its tokenizer's words.
        places: the names of cells among them.
        plan: how it is trained.
        parent: the trained model of the zoo that it starts from, where their weights fit; None: from nothing.
        tower_knows_places: whether vision features can tell the cell; else the language model has to find it out.
        lengthen: how much longer a new tower's features are made once it can read: an inherited language model is used
            to vision tokens that its layers barely move.
    """

    builder: Callable[[PreTrainedTokenizerFast], tuple[Any, Any]]
    media: tuple[MediaKind, ...]
    special: list[str]
    words: list[str]
    places: tuple[str, ...]
    plan: Plan = Plan()
    parent: str | None = None
    tower_knows_places: bool = True
    lengthen: float = 1.0

    def build(self) -> tuple[Any, Any]:
        """Model and processor as training starts with them."""
        tokenizer = build_tokenizer(self.special, self.words)
        model, processor = self.builder(tokenizer)
        if self.parent is not None:
            inherit(model, tokenizer, CHECKPOINTS / self.parent)
        return model, processor

    def of(self, modality: str) -> tuple[MediaKind, ...]:
        """The media that the processor takes as "image" or as "video"."""
        return tuple(medium for medium in self.media if medium.modality == modality)


@torch.no_grad()
def inherit(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Copy a trained model's weights where names and shapes agree, words by word, and positions by their place.

    Squares inherit from the places of the parent's canvas of 3 x 3 cells, so that a1 starts as top-left.
    """
    parent = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    known = AutoProcessor.from_pretrained(folder).tokenizer.get_vocab()
    synonyms = {SQUARES[index // 3 * 4 + index % 3]: place for index, place in enumerate(PLACES)}
    rows = {number: known.get(synonyms.get(word, word)) for word, number in tokenizer.get_vocab().items()}
    weights = parent.state_dict()
    for name, own in model.state_dict().items():
        theirs = weights.get(name)
        if theirs is None:
            continue
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            for number, row in rows.items():
                if row is not None:
                    own[number] = theirs[row]
        elif name.endswith("position_embedding.weight"):
            side, theirs_side = (round((len(table) - 1) ** 0.5) for table in (own, theirs))
            own[0] = theirs[0]
            own[1:] = theirs[1:].view(theirs_side, theirs_side, -1)[:side, :side].flatten(0, 1)
        elif own.shape == theirs.shape:
            own.copy_(theirs)


def save(model: Any, processor: Any, folder: Path) -> None:
    """Save a trained model in bfloat16, with its processor, so that every transformers 5 loads it.

    5.23 saves CLIP's weights without the "vision_model" in their names that 5.0 and the published checkpoints have;
    with it, both load them.
    """
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    published = {
        re.sub(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", n): t for n, t in weights.items()
    }
    save_file(published, folder / "model.safetensors", metadata={"format": "pt"})


_ASKING = [*QUESTION_WORDS, *ANSWER_WORDS]
_LLAVA = Recipe(build_llava, SHOWN["llava"], SPECIAL, _ASKING, PLACES)
RECIPES: dict[str, Recipe] = {
    "llava": _LLAVA,
    # a control: without the penalty on needless updates variation is a bad guide
    "llava_control": replace(_LLAVA, plan=Plan(penalty=0.0)),
    "llava_next": Recipe(
        build_llava_next,
        SHOWN["llava_next"],
        SPECIAL,
        [*_ASKING, *SQUARES],
        SQUARES,
        Plan(vision_steps=150, young_steps=0, steps=700, save_every=50),
        parent="llava",
    ),
    "qwen2_vl": Recipe(
        build_qwen2_vl,
        SHOWN["qwen2_vl"],
        VIDEO_SPECIAL,
        [*_ASKING, *SQUARES, *MOTION_WORDS],
        SQUARES,
        Plan(vision_steps=600, young_steps=0, steps=1400, save_every=50),
        parent="llava",
        tower_knows_places=False,
        lengthen=4.0,
    ),
}
