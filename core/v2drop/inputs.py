"""What a forward call's arguments tell: whether they carry media, where padding is, and whether a vision mask fits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .errors import VisionMaskError


def has_media(media: Any) -> bool:
    """Whether an argument carries media: a tensor that is not empty, or a dict of features by modality."""
    if isinstance(media, dict):
        return any(value is not None for value in media.values())
    return media is not None and len(media) > 0


def fit_mask(mask: Tensor, batch: int, length: int) -> Tensor:
    """The assigned vision mask, its rows repeated as generate() repeats samples for beams. Raises VisionMaskError."""
    fits = isinstance(mask, Tensor) and mask.ndim == 2 and mask.shape[1] == length and mask.shape[0] > 0
    if not fits or batch % mask.shape[0]:
        found = list(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise VisionMaskError(
            f"vision_mask is {found} but the call has {batch} samples of {length} tokens: assign a bool tensor "
            f"[{batch}, {length}]; see README, 'Limits'"
        )
    return mask.repeat_interleave(batch // mask.shape[0], dim=0)


def padding_of(attention_mask: Any, past: int, length: int) -> Tensor | None:
    """The chunk's columns of a padding mask [B, past + S], or of what `generate` makes of one for a static cache.

    That is a mask [B, 1, S, K], bool or additive, alone or by kind of layer; what no row sees is padding. (The last row
    alone does not tell: in packed sequences it sees its own.) None where there is no mask to tell padding.
    """
    if isinstance(attention_mask, dict):
        attention_mask = next(iter(attention_mask.values()), None)
    if not isinstance(attention_mask, Tensor):
        return None
    if attention_mask.ndim == 2:
        return attention_mask[:, -length:]
    seen = attention_mask[:, 0, :, past : past + length]
    return (seen if seen.dtype == torch.bool else seen == 0).any(1)
