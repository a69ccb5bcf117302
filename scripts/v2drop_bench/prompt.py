"""Prompts of a measurement: embeddings of text, a picture or video, and more text; the vision tower does not run."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from v2drop import Attachment, get_adapter
from v2drop.hf.calls import cache_argument
from v2drop_terminal.errors import CommandError

PREFIX, SUFFIX = 35, 20  # text tokens before and after: a chat template, and a short question


@dataclass(frozen=True)
class Length:
    """Vision tokens of a prompt: of one picture, or of the frames of a video (or several pictures)."""

    frames: int
    per_frame: int

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read "576" or "8x196". Raises CommandError for anything else."""
        found = re.fullmatch(r"(?:([1-9]\d*)x)?([1-9]\d*)", text)
        if found is None:
            raise CommandError(
                f"--tokens {text!r}: pass a picture's vision tokens, such as 576, or a video's as frames x tokens, such as "
                "8x196"
            )
        return cls(int(found[1] or 1), int(found[2]))

    def __str__(self) -> str:
        return str(self.per_frame) if self.frames == 1 else f"{self.frames}x{self.per_frame}"

    @property
    def vision(self) -> int:
        """The number of vision tokens."""
        return self.frames * self.per_frame

    @property
    def sequence(self) -> int:
        """The number of all tokens."""
        return PREFIX + self.vision + SUFFIX

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a frame, as close to a square as its tokens allow."""
        height = next(rows for rows in range(isqrt(self.per_frame), 0, -1) if self.per_frame % rows == 0)
        return height, self.per_frame // height


class Prompt:
    """A batch of random prompts of one length for a model, without padding.

    Attributes:
        embeds: [B, S, H], in the model's dtype and on its device.
        vision_mask: bool [B, S].
        position_ids: int64 [1, S]; for models with M-RoPE [3, B, S]: time, height and width.
    """

    def __init__(self, model: Any, length: Length, batch: int) -> None:
        self.length, self.batch = length, batch
        hidden = model.config.get_text_config().hidden_size
        generator = torch.Generator().manual_seed(0)
        embeds = torch.randn(batch, length.sequence, hidden, generator=generator) * 0.02
        self.embeds = embeds.to(model.device, model.dtype)
        self.vision_mask = torch.zeros(batch, length.sequence, dtype=torch.bool, device=model.device)
        self.vision_mask[:, PREFIX : PREFIX + length.vision] = True
        if _has_mrope(model):
            positions = mrope_positions(model, length).expand(-1, batch, -1)
        else:
            positions = torch.arange(length.sequence)[None]
        self.position_ids = positions.to(model.device)

    def dense(self, model: Any) -> Any:
        """The inner model's output for this prompt: the prefill without the head."""
        inner = get_adapter(model).inner_model(model)
        return inner(inputs_embeds=self.embeds, position_ids=self.position_ids, use_cache=True)

    def attached(self, model: Any, run: Attachment) -> Any:
        """The same on an attached model."""
        run.vision_mask = self.vision_mask
        return self.dense(model)

    def step(self, model: Any, cache: Any, number: int) -> Any:
        """The whole model's logits for one more token after this prompt, the `number`-th counted from 0."""
        positions = self.position_ids.amax(-1, keepdim=True).amax(0, keepdim=True) + 1 + number
        positions = positions.expand(*self.position_ids.shape[:-1], 1)
        filled = cache_argument(model, cache)
        return model(inputs_embeds=self.embeds[:, :1], position_ids=positions, use_cache=True, **filled).logits


def _has_mrope(model: Any) -> bool:
    """Whether positions run over time, height and width, as in Qwen2-VL and its family."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    return "mrope_section" in rope and hasattr(get_adapter(model).inner_model(model), "get_rope_index")


def mrope_positions(model: Any, length: Length) -> Tensor:
    """Stock Qwen2-VL's rotary positions (time, height, width) of a prompt with a picture or video: int64 [3, 1, S]."""
    inner, config = get_adapter(model).inner_model(model), model.config
    video = length.frames > 1
    ids, vision = torch.zeros(1, length.sequence, dtype=torch.long), slice(PREFIX, PREFIX + length.vision)
    ids[:, PREFIX - 1] = config.vision_start_token_id
    ids[:, vision] = config.video_token_id if video else config.image_token_id
    merge = config.vision_config.spatial_merge_size
    grid = torch.tensor([[length.frames, *(merge * side for side in length.grid)]])
    arguments: dict[str, Any] = {"input_ids": ids, "video_grid_thw" if video else "image_grid_thw": grid}
    if "mm_token_type_ids" in inspect.signature(inner.get_rope_index).parameters:  # not in transformers 5.0
        arguments["mm_token_type_ids"] = torch.zeros_like(ids, dtype=torch.int)
        arguments["mm_token_type_ids"][:, vision] = 2 if video else 1
    return inner.get_rope_index(**arguments)[0]
