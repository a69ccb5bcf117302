"""What a forward call's arguments tell: whether they carry media, where padding is, and whether a vision mask fits."""

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
    """The assigned vision mask, its rows repeated as generate() repeats samples for beams. Raises VisionMaskError."""
    fits = isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.ndim == 2 and mask.shape[1] == length
    if not fits or not mask.shape[0] or batch % mask.shape[0]:
        found = f"{list(mask.shape)}, {mask.dtype}," if isinstance(mask, Tensor) else type(mask).__name__
        raise VisionMaskError(
            f"vision_mask is {found} but the call has {batch} samples of {length} tokens: assign a bool tensor "
            f"[{batch}, {length}]; see v2drop docs limits"
        )
    return mask.repeat_interleave(batch // mask.shape[0], dim=0)


def agreed_mask(assigned: Tensor, placeholders: Tensor | None) -> Tensor:
    """The assigned vision mask, bool [B, S]. Raises VisionMaskError where the call's own token ids say otherwise.

    `placeholders` are those among the ids, bool [B, S]; None where the call has no ids, or holds no placeholder.
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
    """Where the columns of a call are no padding, bool [batch, length]; None where there is no mask to tell it.

    A padding mask [B or 1, K] runs over the cache's positions from its start, as stock models read it: it may go on behind
    the call, and columns that it does not reach are padding. In a mask [B or 1, heads or 1, S, K], one's own or what
    `generate` makes for a static cache, alone or by kind of layer, what no row sees is padding. (The last row alone does not
    tell: in packed sequences it sees its own.)
    """
    if isinstance(attention_mask, dict):
        attention_mask = next(iter(attention_mask.values()), None)
    if not isinstance(attention_mask, Tensor) or attention_mask.ndim not in (2, 4):
        return None
    real = attention_mask[..., past : past + length]
    if real.ndim == 4:
        real = seen(real).any(dim=1).any(dim=1)
    return F.pad(real, (0, length - real.shape[1])).bool().expand(batch, -1)
