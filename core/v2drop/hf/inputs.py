"""Reads a call's arguments: whether they carry media, where padding is, and whether a vision mask fits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import VisionMaskError
from .masks import seen


def has_media(media: Any) -> bool:
    """Whether an argument carries media: a tensor that is not empty, or a dict of features by modality."""
    if isinstance(media, dict):
        return any(value is not None for value in media.values())
    return media is not None and len(media) > 0


def fit_mask(mask: Tensor, batch: int, length: int) -> Tensor:
    """The assigned vision mask, with rows repeated as generate() repeats samples for beams. Raises VisionMaskError."""
    fits = isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.ndim == 2 and mask.shape[1] == length
    if not fits or not mask.shape[0] or batch % mask.shape[0]:
        found = f"{list(mask.shape)}, {mask.dtype}," if isinstance(mask, Tensor) else type(mask).__name__
        raise VisionMaskError(
            f"vision_mask is {found} but the call has {batch} samples of {length} tokens: assign a bool tensor "
            f"[{batch}, {length}]; see v2drop docs limits"
        )
    return mask.repeat_interleave(batch // mask.shape[0], dim=0)


def agreed_mask(assigned: Tensor, placeholders: Tensor | None) -> Tensor:
    """The assigned vision mask, bool [B, S]. Raises VisionMaskError if the call's own token ids disagree.

    `placeholders`, bool [B, S], marks the placeholders among the ids; None if the call has no ids or no placeholders.
    """
    if placeholders is None or not placeholders.any():
        return assigned
    differing = (assigned != placeholders.to(assigned.device)).nonzero()
    if len(differing):
        sample, column = differing[0].tolist()
        marked = "marks no vision token" if placeholders[sample, column] else "marks a vision token"
        raise VisionMaskError(
            f"vision_mask {marked} at sample {sample}, column {column}, and input_ids say otherwise ({len(differing)} columns "
            "differ): make it for these very ids, after padding, or assign none; see v2drop docs limits"
        )
    return assigned


def padding_of(attention_mask: Any, past: int, batch: int, length: int) -> Tensor | None:
    """bool [batch, length], False at padding among the positions of a call; None if no mask shows it.

    As in stock models, a padding mask [B or 1, K] runs over positions from the start of the cache: it may extend past
    the call, and positions that it does not reach are padding. In a mask [B or 1, heads or 1, S, K], which may be
    custom or made by `generate` for a static cache, alone or by layer type, positions that no row sees are padding. (The last
    row is not enough: in packed sequences it sees only its own.)
    """
    if isinstance(attention_mask, dict):
        attention_mask = next(iter(attention_mask.values()), None)
    if not isinstance(attention_mask, Tensor) or attention_mask.ndim not in (2, 4):
        return None
    real = attention_mask[..., past : past + length]
    if real.ndim == 4:
        real = seen(real).any(dim=1).any(dim=1)
    return F.pad(real, (0, length - real.shape[1])).bool().expand(batch, -1)
