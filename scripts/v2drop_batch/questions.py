"""The question of a row: its prompt, and the files of its pictures and video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from v2drop_loading.question import DEFAULT_FPS, Question

from .blocks import Row


def question_of(row: Row, scratch: Path) -> Question:
    """The question of a row.

    Its keys: `question`; `image`, one or a list; `video`; `fps`. All but `question` are optional. A picture or video is
    a path relative to the input's folder, the file's bytes, or a dictionary with `path` or `bytes`, as in data sets.

    Args:
        scratch: a folder for files that are passed as bytes.

    Raises:
        ValueError: the row is invalid; the message says why.
    """
    data = row.data
    if not isinstance(data, Mapping):
        raise ValueError(data)
    prompt, fps = data.get("question"), data.get("fps", DEFAULT_FPS)
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"no question: question is {prompt!r}")
    prompt.encode()  # fails for a lone surrogate, which JSON can hold
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not fps > 0:
        raise ValueError(f"fps is {fps!r}: expected a number above 0")
    shown = data.get("image")
    shown = shown if isinstance(shown, list) else [] if shown is None else [shown]
    images = [_file("image", each, row, scratch / f"{row.number}-{index}") for index, each in enumerate(shown)]
    video = data.get("video")
    film = None if video is None else _file("video", video, row, scratch / f"{row.number}-video")
    return Question(images, film, float(fps), prompt)


def _file(kind: str, value: Any, row: Row, scratch: Path) -> Path:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str) and value:
        return row.folder / value
    if isinstance(value, bytes) and value:
        scratch.write_bytes(value)
        return scratch
    raise ValueError(f"{kind} is {str(value)[:40]!r}: expected a path or the bytes of a file")
