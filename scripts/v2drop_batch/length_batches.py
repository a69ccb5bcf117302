"""Batches of rows of similar length, so that padding wastes little."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from v2drop_loading.question import Question
from v2drop_media.images import image_size

Asked = tuple[Any, Question]


def cut_batches(asked: Sequence[Asked], processor: Any, size: int) -> list[list[Asked]]:
    """Batches of up to `size`, the longest prompts first, so that a lack of memory shows at once."""
    ordered = sorted(asked, key=lambda each: prompt_length(each[1], processor), reverse=True)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def prompt_length(question: Question, processor: Any) -> tuple[int, int]:
    """Length of a prompt, without decoding its media: bytes of its video, and tokens of its pictures and text.

    An estimate for sorting. Files that cannot be read count as 0.
    """
    video = question.video
    film = video.stat().st_size if video is not None and video.is_file() else 0
    sizes = [size for size in map(_picture_size, question.images) if size is not None]
    return film, _vision_tokens(sizes, processor) + len(processor.tokenizer(question.prompt)["input_ids"])


def _picture_size(file: Path) -> tuple[int, int] | None:
    """Height and width, from the file's header."""
    try:
        width, height = image_size(file)
        return height, width
    except Exception:  # any damage is reported when the picture is read
        return None


def _vision_tokens(sizes: list[tuple[int, int]], processor: Any) -> int:
    if not sizes:
        return 0
    try:
        return sum(processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens)
    except Exception:  # private: stock processors have it for serving engines
        return sum(height * width for height, width in sizes)
