"""Recipes of the zoo models: how each is built, its media, its initial weights and how long it is trained."""

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
    """Training hyperparameters. Steps are shared by all processes; pictures are per process."""

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
        builder: makes the untrained model and processor for a tokenizer.
        media: the media that it is trained on, each entry equally often.
        special: its tokenizer's special tokens.
        words: its tokenizer's words.
        places: the cell names among the words.
        plan: its training hyperparameters.
        parent: the zoo model whose weights it starts from, where they fit; None: from scratch.
        tower_knows_places: whether vision features encode the cell; else the language model has to find it out.
        lengthen: factor that scales up a new tower's features once it can read: an inherited language model expects
            vision tokens that its layers barely move.
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
        """The initial model and processor for training."""
        tokenizer = build_tokenizer(self.special, self.words)
        model, processor = self.builder(tokenizer)
        if self.parent is not None:
            inherit(model, tokenizer, CHECKPOINTS / self.parent)
        return model, processor

    def of(self, modality: str) -> tuple[MediaKind, ...]:
        """The media with modality "image" or "video"."""
        return tuple(medium for medium in self.media if medium.modality == modality)


@torch.no_grad()
def inherit(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Copy a trained model's weights where names and shapes agree; words are matched by word, positions by grid cell.

    Squares inherit from the named places of the parent's canvas of 3 x 3 cells, so that a1 starts as top-left.
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
    """Save a trained model in bfloat16, with its processor, so that every transformers 5 release loads it.

    5.23 leaves "vision_model" out of the names of CLIP's weights; 5.0 and the published checkpoints have it, and both
    releases load names with it.
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
    # a control: without the penalty on needless updates, variation is a bad criterion
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
