"""Many questions behind one picture: each sees the picture and itself, so a training step teaches twelve at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from .digits import Split
from .questions import KINDS, ask
from .recipes import GRID, PATCH
from .scenes import COLOURS, Scene, draw_scene

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """A training batch of P pictures, V vision tokens each, and S tokens in all.

    Attributes:
        pixel_values: float32 [P, 3, height, width], as the processor makes them.
        input_ids: int64 [P, S]; the V placeholders stand at 2 .. 2 + V.
        position_ids: int64 [P, S]; every question starts where the picture ends.
        attention_mask: bool [P, 1, S, S], True where a query may attend to a key.
        labels: int64 [P, S], the next token where it is (part of) an answer, else -100.
        kinds: int64 [P, S], index of the question's kind where the label is an answer's first token, else -1.
        patch_labels: int64 [P, V, 3], digit (10: background), colour (6: background), cell of each patch.
    """

    pixel_values: torch.Tensor
    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor
    kinds: torch.Tensor
    patch_labels: torch.Tensor


def pack(
    rng: np.random.Generator, split: Split, tokenizer: PreTrainedTokenizerFast, pictures: int, questions: int
) -> Packed:
    """Draw `pictures` scenes and put `questions` questions behind each; with none, the scenes are crowded."""
    scenes = [draw_scene(rng, split, crowded=questions == 0) for _ in range(pictures)]
    vision = GRID * GRID
    prefix = [*tokenizer.encode("<s> user:"), *[tokenizer.convert_tokens_to_ids("<image>")] * vision]
    rows = [_pack_row(scene, rng, tokenizer, len(prefix), questions) for scene in scenes]
    length = len(prefix) + max(len(row[0]) for row in rows)

    input_ids = torch.full((pictures, length), tokenizer.pad_token_id)
    input_ids[:, : len(prefix)] = torch.tensor(prefix)
    position_ids = torch.zeros(pictures, length, dtype=torch.long)
    position_ids[:, : len(prefix)] = torch.arange(len(prefix))
    block = torch.zeros(pictures, length, dtype=torch.long)  # 0: picture, then 1, 2, ... a question each, -1: padding
    block[:, len(prefix) :] = -1
    labels = torch.full((pictures, length), IGNORED)
    kinds = torch.full((pictures, length), -1)
    for row, (ids, positions, blocks, targets, kind) in enumerate(rows):
        window = slice(len(prefix), len(prefix) + len(ids))
        for tensor, values in (
            (input_ids, ids),
            (position_ids, positions),
            (block, blocks),
            (labels, targets),
            (kinds, kind),
        ):
            tensor[row, window] = torch.tensor(values)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    visible = (block[:, None, :] == 0) | (block[:, None, :] == block[:, :, None])
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes])).permute(0, 3, 1, 2)
    return Packed(
        pixel_values=(pixels / 255 - 0.5) / 0.25,
        input_ids=input_ids,
        position_ids=position_ids,
        attention_mask=(causal & visible)[:, None],
        labels=labels,
        kinds=kinds,
        patch_labels=torch.stack([patch_labels(scene) for scene in scenes]),
    )


def _pack_row(
    scene: Scene, rng: np.random.Generator, tokenizer: PreTrainedTokenizerFast, start: int, questions: int
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    ids: list[int] = []
    positions: list[int] = []
    blocks: list[int] = []
    labels: list[int] = []
    kinds: list[int] = []
    names = list(KINDS)
    for number in range(1, questions + 1):
        question = ask(scene, rng)
        tokens = tokenizer.encode(f"{question.text} assistant: {question.answer} </s>")
        ids += tokens
        positions += range(start, start + len(tokens))
        blocks += [number] * len(tokens)
        labels += [IGNORED] * (len(tokens) - 3) + [*tokens[-2:], IGNORED]
        kinds += [-1] * (len(tokens) - 3) + [names.index(question.kind), -1, -1]
    return ids, positions, blocks, labels, kinds


def patch_labels(scene: Scene) -> torch.Tensor:
    """What each patch shows, int64 [V, 3]: digit (10: background), colour (6: background) and cell."""
    height, width = scene.owner.shape
    rows, columns = height // PATCH, width // PATCH
    patches = scene.owner.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2).reshape(rows * columns, -1)
    labels = torch.empty(rows * columns, 3, dtype=torch.long)
    cells_across = 3
    for index, owners in enumerate(patches):
        inked = owners[owners >= 0]
        cell = index // columns * 3 // rows * cells_across + index % columns * 3 // columns
        if len(inked) < 0.08 * owners.size:
            labels[index] = torch.tensor([10, len(COLOURS), cell])
        else:
            digit = scene.digits[np.bincount(inked).argmax()]
            labels[index] = torch.tensor([digit.value, list(COLOURS).index(digit.colour), cell])
    return labels
