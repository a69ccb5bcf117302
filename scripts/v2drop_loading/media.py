"""Reads a question's media files in the form that the model expects, and makes model inputs of them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from v2drop import Adapter, MediaWarning
from v2drop_media.images import read_image
from v2drop_media.videos import ReadsVideos, read_video
from v2drop_terminal.errors import CommandError

from .question import Question

if TYPE_CHECKING:
    from v2drop_media.video_metadata import SampledVideo


@dataclass(frozen=True)
class Media:
    """Media as read: RGB pictures, a video's frames [frames, 3, height, width] from 0 to 255, and its metadata.

    `notes` say which pictures are read only in part, such as the first frame of an animation.
    """

    pictures: list[Image.Image]
    frames: Tensor | None = None
    metadata: SampledVideo | None = None
    notes: Sequence[str] = ()

    @property
    def times(self) -> list[float]:
        """Seconds from the video's first frame to each frame that was read."""
        return [] if self.metadata is None else self.metadata.frame_times


def read_media(question: Question, adapter: Adapter, processor: Any) -> Media:
    """Read a question's files.

    The adapter reads them if it has readers of its own; otherwise the processor resizes pictures and frames later.

    Raises:
        MediaError: a file is missing, or cannot be read or used.
        CommandError: the model takes no videos, or a library is missing.
    """
    if question.video is not None and getattr(processor, "video_processor", None) is None:
        raise CommandError(
            f"cannot ask about {question.video}: {adapter.model_types[0]} models take pictures, not videos; pass --image, or "
            "a --model that takes videos, such as qwen2_vl"
        )
    try:
        with _quiet_decoders(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", MediaWarning)
            pictures = [read_image(path, adapter, processor) for path in question.images]
            frames, metadata = None, None
            if question.video is not None and isinstance(adapter, ReadsVideos):
                frames, metadata = adapter.read_video(question.video, processor, question.fps)
            elif question.video is not None:
                frames, metadata = read_video(question.video, question.fps)
        notes = [str(one.message) for one in told if issubclass(one.category, MediaWarning)]
        return Media(pictures, frames, metadata, notes)
    except ImportError as error:
        raise CommandError(str(error)) from error


def as_inputs(processor: Any, media: Media, prompt: str) -> Any:
    """The model's inputs, and for a video `video_metadata`, which the model does not accept. Pictures come first."""
    return batch_inputs(processor, [media], [prompt])


def batch_inputs(processor: Any, media: Sequence[Media], prompts: Sequence[str]) -> Any:
    """The inputs of a batch of prompts and their media; see `as_inputs`. Raises CommandError if they do not fit."""
    chats = []
    for each, prompt in zip(media, prompts, strict=True):
        _check_prompt(prompt, processor)
        content: list[dict[str, str]] = [{"type": "image"}] * len(each.pictures)
        content += [{"type": "video"}] if each.frames is not None else []
        chats.append([{"role": "user", "content": [*content, {"type": "text", "text": prompt}]}])
    # explicit, as a checkpoint's tokenizer may set a maximum length and cut off placeholders
    arguments: dict[str, Any] = {"padding": len(chats) > 1, "truncation": False}
    if any(each.pictures for each in media):
        arguments |= {"images": [each.pictures for each in media if each.pictures]}
    if videos := [each for each in media if each.frames is not None]:
        arguments |= {"videos": [each.frames for each in videos], "video_metadata": [each.metadata for each in videos]}
        arguments |= {"do_sample_frames": False, "return_metadata": True}
    try:
        texts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
        start = processor.tokenizer.bos_token
        if start and texts[0].startswith(start):  # the template wrote it: add no second one, like stock pipelines
            arguments |= {"add_special_tokens": False}
        return processor(text=texts, return_tensors="pt", **arguments)
    except Exception as error:  # templates and processors belong to the checkpoint and may raise anything
        reason = str(error) or type(error).__name__
        raise CommandError(f"the processor cannot take this prompt with these pictures or video: {reason}") from error


def _check_prompt(prompt: str, processor: Any) -> None:
    """Refuse a question that quotes a placeholder: the processor would take it for another picture or video."""
    for kind in ("image", "video"):
        token = getattr(processor, f"{kind}_token", None)
        if isinstance(token, str) and token and token in prompt:
            raise CommandError(
                f"the question quotes {token}, which stands for {kind}s in this model's prompts and cannot be used as text: "
                f"leave it out, or write it another way, such as {token.strip('<|>')!r}; --image and --video add their own "
                "placeholders"
            )


def model_inputs(processor: Any, media: Sequence[Media], prompts: Sequence[str]) -> Any:
    """`batch_inputs` for `generate`: padded on the left, so that all answers in a batch start at the same position."""
    processor.tokenizer.padding_side = "left"
    inputs = batch_inputs(processor, media, prompts)
    inputs.pop("video_metadata", None)
    return inputs


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Hide what FFmpeg and qwen-vl-utils print on stderr; their errors are raised anyway."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
