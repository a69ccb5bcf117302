"""The media of the zoo models: pictures of several shapes, or short videos, each with its kinds of question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .clips import Clip, compressed, draw_clip
from .digits import Split
from .questions import ANSWERABLE, CLIP_KINDS, KINDS
from .scenes import PLACES, Scene, cell_names, draw_scene


@dataclass(frozen=True)
class MediaKind:
    """A kind of picture or video of one size, so that a batch of it is rectangular.

    Attributes:
        modality: the processor's name for it.
        rows: rows of cells on the canvas, 48 pixels each.
        columns: columns of cells.
        names: names of the cells.
        taught: kinds of question for training.
        asked: kinds of question for evaluation.
    """

    modality: Literal["image", "video"]
    rows: int
    columns: int
    names: tuple[str, ...]
    taught: tuple[str, ...]
    asked: tuple[str, ...]

    def draw(self, rng: np.random.Generator, split: Split, crowded: bool = False) -> Scene | Clip:
        """Draw a new picture or video. A crowded picture has a digit in every cell; videos are never crowded."""
        if self.modality == "video":
            return draw_clip(rng, split)
        return draw_scene(rng, split, self.rows, self.columns, crowded, self.names)


def canvas(rows: int, columns: int) -> MediaKind:
    """Pictures of rows x columns cells, named like the squares of a chess board."""
    return MediaKind("image", rows, columns, cell_names(rows, columns), ANSWERABLE, ANSWERABLE)


SQUARE_CANVAS = MediaKind("image", 3, 3, PLACES, tuple(KINDS), ANSWERABLE)
CLIP = MediaKind("video", 2, 2, cell_names(2, 2), tuple(CLIP_KINDS), tuple(CLIP_KINDS))

# by model; media are drawn as often as they are listed
SHOWN: dict[str, tuple[MediaKind, ...]] = {
    "llava": (SQUARE_CANVAS,),
    "llava_control": (SQUARE_CANVAS,),
    "llava_next": (canvas(2, 4), canvas(4, 2)),
    "qwen2_vl": (canvas(3, 3), canvas(2, 3), canvas(3, 2), CLIP, CLIP, CLIP),
}


def media_of(model_type: str, modality: str) -> tuple[MediaKind, ...]:
    """The media of a zoo model of this type with modality "image" or "video"; none for other models."""
    return tuple(medium for medium in SHOWN.get(model_type, ()) if medium.modality == modality)


def as_shown(shown: Scene | Clip) -> np.ndarray:
    """The pixels for a processor, uint8: ``[height, width, 3]``; videos compressed, ``[frames, height, width, 3]``."""
    return compressed(shown.frames) if isinstance(shown, Clip) else shown.pixels
