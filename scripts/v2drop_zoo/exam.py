"""Questions about the zoo's pictures and videos, and the model inputs that ask them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from v2drop_media.qwen_videos import load_video

from .clips import RATE, Clip, write_video
from .digits import Split
from .media import SHOWN, MediaKind
from .questions import Question, ask
from .scenes import Scene

LONGEST_ANSWER = 3  # new tokens: enough for a word and the end-of-sequence token
Asked = tuple[Scene | Clip, Question]


def fresh_questions(
    count: int, seed: int, split: Split = "test", media: Sequence[MediaKind] = SHOWN["llava"]
) -> Iterator[Asked]:
    """`count` seeded pictures or videos of a split's digits with a question each; kinds and media alternate."""
    rng = np.random.default_rng([seed, 7])
    for number in range(count):
        medium = media[number % len(media)]
        shown = medium.draw(rng, split)
        yield shown, ask(shown, rng, medium.asked[number // len(media) % len(medium.asked)])


def batch_inputs(processor: Any, batch: Sequence[Asked]) -> Any:
    """Model inputs for a batch of questions; videos pass through mp4 files."""
    with tempfile.TemporaryDirectory() as folder:
        chats = [
            [{"role": "user", "content": [_content(shown, Path(folder) / f"{number}.mp4"), _text(question)]}]
            for number, (shown, question) in enumerate(batch)
        ]
        return load_inputs(processor, chats)


def load_inputs(processor: Any, chats: Sequence[list[dict[str, Any]]]) -> Any:
    """Model inputs for a batch of chats, each about one picture or each about one video file."""
    prompts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
    parts = [part for chat in chats for message in chat for part in message["content"]]
    shown: dict[str, Any] = {}
    if images := [part["image"] for part in parts if part["type"] == "image"]:
        shown["images"] = images
    if videos := [part for part in parts if part["type"] == "video"]:
        read = [load_video(part["video"], processor.video_processor, part["fps"]) for part in videos]
        shown["videos"], shown["video_metadata"] = [frames for frames, _ in read], [metadata for _, metadata in read]
        shown["do_sample_frames"] = False
    return processor(text=prompts, padding=True, return_tensors="pt", **shown)


def _content(shown: Scene | Clip, file: Path) -> dict[str, Any]:
    if isinstance(shown, Scene):
        return {"type": "image", "image": shown.image}
    write_video(shown.frames, file)
    return {"type": "video", "video": str(file), "fps": float(RATE)}


def _text(question: Question) -> dict[str, Any]:
    return {"type": "text", "text": question.text}
