"""The question and files of `v2drop run`: those of the options, otherwise the model's own example."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2drop_terminal.errors import CommandError

from .checkpoints import Checkpoint, Example
from .defaults import DEFAULT_FPS, ExampleKind


@dataclass(frozen=True)
class Question:
    """The pictures, the video and the prompt, in the order of the chat. `fps`: frames per second to sample."""

    images: Sequence[Path]
    video: Path | None
    fps: float
    prompt: str

    @property
    def files(self) -> list[Path]:
        """The media files in the order of the chat."""
        return [*self.images, *([] if self.video is None else [self.video])]


def choose_question(
    checkpoint: Checkpoint,
    images: Sequence[Path],
    video: Path | None,
    fps: float | None,
    prompt: str | None,
    example: ExampleKind | None,
) -> Question:
    """The question that the options define. Raises CommandError if they contradict each other or are incomplete."""
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise CommandError(f"--fps {fps:g}: frames per second must be a number above 0, such as 2")
    files = [*(f"--image {image}" for image in images), *([] if video is None else [f"--video {video}"])]
    if example is not None and files:
        raise CommandError(f"--example {example.value} and {files[0]} contradict each other: pass one of the two")
    if fps is not None and video is None and example is not ExampleKind.VIDEO:
        raise CommandError(f"--fps {fps:g} without a video: pass --video FILE too, or --example video")
    brought = checkpoint.video if video is not None or example is ExampleKind.VIDEO else checkpoint.image
    if not files:
        images, video = _files(checkpoint, brought, prompt, example)
    brought = brought or checkpoint.image
    if prompt is None and brought is None:
        raise CommandError(f"{checkpoint.name} has no example to take a question from: pass --prompt")
    asked = prompt or (brought.prompt if brought else "")
    return Question(images, video, fps or (brought and brought.fps) or DEFAULT_FPS, asked)


def _files(
    checkpoint: Checkpoint, brought: Example | None, prompt: str | None, example: ExampleKind | None
) -> tuple[list[Path], Path | None]:
    if brought is None:
        kind = "image" if example is None else example.value
        missing = f"--{kind} and --prompt" if prompt is None else f"--{kind}"
        raise CommandError(f"{checkpoint.name} has no example{'' if example is None else ' ' + kind}: pass {missing}")
    return ([], brought.file) if example is ExampleKind.VIDEO else ([brought.file], None)


def read_object(line: str) -> dict[str, Any]:
    """Parse a line as a JSON object. Raises ValueError if it is not one."""
    try:
        data = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"not a JSON object: {line.strip()[:40]}")
    return data
