"""Packs many questions after one picture: each sees the picture and itself, so a step trains on twenty at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from v2drop_zoo.clips import Clip
from v2drop_zoo.digits import Split
from v2drop_zoo.media import MediaKind, as_shown
from v2drop_zoo.questions import ALL_KINDS, ask
from v2drop_zoo.scenes import Scene

from .labels import IGNORED, LAYOUTS


@dataclass(frozen=True)
class Packed:
    """A training batch of P pictures or videos of one size, V vision tokens each, and S tokens in all.

    Attributes:
        pixels: the processor's inputs for the model's get_image_features or get_video_features.
        modality: "image" or "video".
        input_ids: int64 [P, S]; the V placeholders are at `vision`.
        vision: the positions of the placeholders.
        position_ids: int64 [P, S], or [3, P, S] for M-RoPE; every question starts where the picture ends.
        attention_mask: bool [P, 1, S, S], True where a query may attend to a key.
        labels: int64 [P, S], the next token if it is (part of) an answer, else -100.
        kinds: int64 [P, S], index of the question's kind if the label is an answer's first token, else -1.
        patch_labels: int64 [P, V, 5], the labels of each vision token, see labels.py.
    """

    pixels: dict[str, torch.Tensor]
    modality: str
    input_ids: torch.Tensor
    vision: slice
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    kinds: torch.Tensor
    patch_labels: torch.Tensor


def pack(
    rng: np.random.Generator,
    split: Split,
    model: Any,
    processor: Any,
    medium: MediaKind,
    pictures: int,
    questions: int,
    places: Sequence[str],
) -> Packed:
    """Draw `pictures` pictures or videos, each with `questions` questions after it; with none, pictures are crowded."""
    shown = [medium.draw(rng, split, crowded=questions == 0) for _ in range(pictures)]
    tokenizer = processor.tokenizer
    inputs = _prefix(processor, medium, shown)
    prefix = inputs.pop("input_ids")
    inputs.pop("attention_mask")
    types = inputs.pop("mm_token_type_ids", None)
    placeholder = tokenizer.convert_tokens_to_ids(f"<{medium.modality}>")
    columns = (prefix[0] == placeholder).nonzero().flatten()
    if hasattr(model.model, "get_rope_index"):
        grids = {name: grid for name, grid in inputs.items() if name.endswith("_grid_thw")}
        prefix_positions, _ = model.model.get_rope_index(prefix, mm_token_type_ids=types, **grids)
    else:
        prefix_positions = torch.arange(prefix.shape[1]).expand(1, pictures, -1)
    start = int(prefix_positions.max()) + 1

    rows = [_pack_row(one, rng, tokenizer, start, questions, medium.taught) for one in shown]
    length = prefix.shape[1] + max(len(row[0]) for row in rows)
    input_ids = torch.full((pictures, length), tokenizer.pad_token_id)
    input_ids[:, : prefix.shape[1]] = prefix
    position_ids = torch.zeros(prefix_positions.shape[0], pictures, length, dtype=torch.long)
    position_ids[..., : prefix.shape[1]] = prefix_positions
    block = torch.zeros(pictures, length, dtype=torch.long)  # 0: picture; 1, 2, ...: questions; -1: padding
    block[:, prefix.shape[1] :] = -1
    labels = torch.full((pictures, length), IGNORED)
    kinds = torch.full((pictures, length), -1)
    for row, (ids, positions, blocks, targets, kind) in enumerate(rows):
        window = slice(prefix.shape[1], prefix.shape[1] + len(ids))
        input_ids[row, window] = torch.tensor(ids, dtype=torch.long)
        position_ids[:, row, window] = torch.tensor(positions, dtype=torch.long)
        block[row, window] = torch.tensor(blocks, dtype=torch.long)
        labels[row, window] = torch.tensor(targets, dtype=torch.long)
        kinds[row, window] = torch.tensor(kind, dtype=torch.long)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    visible = (block[:, None, :] == 0) | (block[:, None, :] == block[:, :, None])
    layout = LAYOUTS[model.config.model_type]
    names = [places.index(name) for name in medium.names]
    return Packed(
        pixels=dict(inputs),
        modality=medium.modality,
        input_ids=input_ids,
        vision=slice(int(columns[0]), int(columns[-1]) + 1),
        position_ids=position_ids[0] if len(position_ids) == 1 else position_ids,
        attention_mask=(causal & visible)[:, None],
        labels=labels,
        kinds=kinds,
        patch_labels=torch.stack([layout(one, (medium.rows, medium.columns), names) for one in shown]),
    )


def _prefix(processor: Any, medium: MediaKind, shown: list[Scene | Clip]) -> dict[str, torch.Tensor]:
    """The processor's output for everything before the question."""
    content = [{"type": medium.modality}]
    text = processor.apply_chat_template([{"role": "user", "content": content}])
    pixels = [as_shown(one) for one in shown]
    if medium.modality == "image":
        return dict(processor(text=[text] * len(shown), images=pixels, return_tensors="pt"))
    frames = [torch.from_numpy(one).permute(0, 3, 1, 2) for one in pixels]
    return dict(processor(text=[text] * len(shown), videos=frames, do_sample_frames=False, return_tensors="pt"))


def _pack_row(
    shown: Scene | Clip,
    rng: np.random.Generator,
    tokenizer: PreTrainedTokenizerFast,
    start: int,
    questions: int,
    taught: Sequence[str],
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    ids: list[int] = []
    positions: list[int] = []
    blocks: list[int] = []
    labels: list[int] = []
    kinds: list[int] = []
    names = list(ALL_KINDS)
    for number in range(1, questions + 1):
        question = ask(shown, rng, kinds=taught)
        tokens = tokenizer.encode(f"{question.text} assistant: {question.answer} </s>")
        ids += tokens
        positions += range(start, start + len(tokens))
        blocks += [number] * len(tokens)
        labels += [IGNORED] * (len(tokens) - 3) + [*tokens[-2:], IGNORED]
        kinds += [-1] * (len(tokens) - 3) + [names.index(question.kind), -1, -1]
    return ids, positions, blocks, labels, kinds
