"""Reading the files that a question is about, as the model at hand wants them, and turning them into its inputs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from v2drop import Adapter
from v2drop_media.videos import read_video
from v2drop_qwen2_vl.image import load_image, open_image
from v2drop_qwen2_vl.video import load_video

from .errors import CommandError
from .question import Question

if TYPE_CHECKING:
    from v2drop_media.video_metadata import SampledVideo


@dataclass(frozen=True)
class Media:
    """What was read: pictures in RGB, a video's frames [frames, 3, height, width] from 0 to 255, and what is known of them."""

    pictures: list[Image.Image]
    frames: Tensor | None = None
    metadata: SampledVideo | None = None

    @property
    def times(self) -> list[float]:
        """Seconds from the video's first frame to each frame that was read."""
        return [] if self.metadata is None else self.metadata.frame_times


def read_media(question: Question, adapter: Adapter, processor: Any) -> Media:
    """Read a question's files.

    An architecture that requires qwen-vl-utils gets its pictures and videos from there, at the size that the checkpoint's
    processor wants. Others get pictures and frames as they are, for the processor to resize.

    Raises:
        MediaError: a file is missing, or cannot be read or used.
        CommandError: the model takes no videos, or a library is missing.
    """
    if question.video is not None and getattr(processor, "video_processor", None) is None:
        raise CommandError(
            f"cannot ask about {question.video}: {adapter.model_types[0]} models take pictures, not videos; pass --image, or "
            "a --model that takes videos, such as qwen2_vl"
        )
    as_qwen = "qwen_vl_utils" in adapter.requires
    try:
        with _quiet_decoders():
            if as_qwen:
                pictures = [load_image(path, processor.image_processor) for path in question.images]
            else:
                pictures = [open_image(path).convert("RGB") for path in question.images]
            if question.video is None:
                return Media(pictures)
            if as_qwen:
                return Media(pictures, *load_video(question.video, processor.video_processor, question.fps))
            return Media(pictures, *read_video(question.video, question.fps))
    except ImportError as error:
        raise CommandError(str(error)) from error


def as_inputs(processor: Any, media: Media, prompt: str) -> Any:
    """The model's inputs, and for a video `video_metadata`, which the model does not take. Pictures stand first."""
    return batch_inputs(processor, [media], [prompt])


def batch_inputs(processor: Any, media: Sequence[Media], prompts: Sequence[str]) -> Any:
    """The inputs of a batch of prompts, each about its media; see `as_inputs`. Raises CommandError where they do not fit."""
    chats = []
    for each, prompt in zip(media, prompts, strict=True):
        content: list[dict[str, str]] = [{"type": "image"}] * len(each.pictures)
        content += [{"type": "video"}] if each.frames is not None else []
        chats.append([{"role": "user", "content": [*content, {"type": "text", "text": prompt}]}])
    arguments: dict[str, Any] = {"padding": True} if len(chats) > 1 else {}
    if any(each.pictures for each in media):
        arguments |= {"images": [each.pictures for each in media if each.pictures]}
    if videos := [each for each in media if each.frames is not None]:
        arguments |= {"videos": [each.frames for each in videos], "video_metadata": [each.metadata for each in videos]}
        arguments |= {"do_sample_frames": False, "return_metadata": True}
    try:
        texts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
        return processor(text=texts, return_tensors="pt", **arguments)
    except (ValueError, IndexError) as error:
        raise CommandError(f"the processor cannot take this prompt with these pictures or video: {error}") from error


def model_inputs(processor: Any, media: Sequence[Media], prompts: Sequence[str]) -> Any:
    """`batch_inputs` as `generate` takes them: padded on the left, as answers in a batch start at one column."""
    processor.tokenizer.padding_side = "left"
    inputs = batch_inputs(processor, media, prompts)
    inputs.pop("video_metadata", None)
    return inputs


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Keep what FFmpeg and qwen-vl-utils print on stderr out of sight: what they refuse is raised besides."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
