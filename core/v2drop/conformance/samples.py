"""Random prompts and batches, like those of a processor, made without one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Inputs = dict[str, Tensor]
PAD = 0


def random_prompt(generator: torch.Generator, media: Sequence[Tensor], vocabulary: range) -> Tensor:
    """Token ids int64 [1, S]: words, then media (placeholder ids) with words between and usually after them."""
    parts = [_words(generator, vocabulary)]
    for number, placeholders in enumerate(media):
        parts.append(placeholders)
        if number < len(media) - 1 or torch.rand((), generator=generator) > 0.15:
            parts.append(_words(generator, vocabulary))
    return torch.cat(parts)[None]


def _words(generator: torch.Generator, vocabulary: range) -> Tensor:
    # sometimes so many that a sample without media is the longest of its batch, even before others lose tokens
    most = 60 if torch.rand((), generator=generator) < 0.1 else 6
    count = int(torch.randint(1, most, (), generator=generator))
    return torch.randint(vocabulary.start, vocabulary.stop, (count,), generator=generator)


def collate(samples: Sequence[Inputs], padding_side: str) -> Inputs:
    """One batch of single samples, with an attention mask.

    Inputs with the shape of `input_ids` are padded to the longest sample. The others, such as pictures, are
    concatenated, and padded if pictures have different numbers of tiles.
    """
    ids = [sample["input_ids"] for sample in samples]
    length = max(each.shape[1] for each in ids)
    batch = {"attention_mask": torch.cat([_pad(torch.ones_like(each), length, padding_side) for each in ids])}
    for name in {name: None for sample in samples for name in sample}:
        like_ids = all(sample[name].shape == sample["input_ids"].shape for sample in samples if name in sample)
        if like_ids:
            rows = [sample.get(name, torch.zeros_like(sample["input_ids"])) for sample in samples]
            batch[name] = torch.cat([_pad(row, length, padding_side) for row in rows])
        else:
            batch[name] = _stack([sample[name] for sample in samples if name in sample])
    return batch


def _pad(row: Tensor, length: int, side: str) -> Tensor:
    padding = torch.full((1, length - row.shape[1]), PAD)
    return torch.cat([padding, row] if side == "left" else [row, padding], dim=1)


def _stack(media: list[Tensor]) -> Tensor:
    if media[0].ndim < 3:
        return torch.cat(media)
    most = max(medium.shape[1] for medium in media)
    padded = [torch.cat([m, m.new_zeros(m.shape[0], most - m.shape[1], *m.shape[2:])], dim=1) for m in media]
    return torch.cat(padded)


def in_one_row(samples: list[Inputs]) -> Inputs:
    """Samples of batch 1 packed into one row, one after another, without a mask."""
    media = collate(samples, "left")
    like_ids = [name for name in samples[0] if samples[0][name].shape == samples[0]["input_ids"].shape]
    ids = {name: torch.cat([sample[name] for sample in samples], dim=1) for name in like_ids}
    return {name: value for name, value in media.items() if name != "attention_mask"} | ids
