"""The input: rows of JSON Lines and parquet files, or pictures of a folder, split into blocks that never change."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from v2drop_measuring.journal import SHA
from v2drop_media.images import image_endings
from v2drop_terminal.errors import CommandError

from .blocks import VIDEOS, Block, LinesBlock, ParquetBlock, PicturesBlock, read_line

TABLES = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Input:
    """The blocks of an input, and a description of its content, so that blocks mean the same in every run.

    Attributes:
        content: number of rows and digest of each file; for a folder of pictures, their number, the digest of their
            names and the prompt.
    """

    blocks: Sequence[Block]
    content: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return sum(len(block.ids) for block in self.blocks)


def find_input(path: Path, prompt: str | None, size: int) -> Input:
    """Split a file, or the files of a folder, into blocks of up to `size` rows. Only the ids of parquet rows are read.

    With a prompt, `path` is a folder of pictures and videos, searched at any depth. Without one it is a JSON Lines file,
    a parquet file, or a folder of such files.

    A row keeps its own id if it is unique; else its id is FILE:LINE.

    Raises:
        CommandError: there is nothing to ask, or a file cannot be read.
    """
    blocks: list[Block] = []
    content: dict[str, Any] = {}

    def add(name: str, cut: Callable[[Any], Iterator[Block]]) -> None:
        digest = hashlib.sha256()
        found = list(cut(digest))
        blocks.extend(found)
        content[name] = {"rows": sum(len(block.ids) for block in found), SHA: digest.hexdigest()}

    try:
        if prompt is not None:
            add("pictures", partial(_pictures, path, prompt, size))
            content["prompt"] = prompt
        else:
            files = [path] if path.is_file() else sorted(file for file in path.iterdir() if _is_one(file, TABLES))
            for file in files:
                add(file.name, partial(_table, file, size))
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot read {path}: {error}") from error
    if not blocks:
        wanted = "picture or video" if prompt is not None else "row in a .jsonl or .parquet file"
        hint = "" if prompt is not None or path.is_file() else "; to ask about its pictures, pass --prompt"
        raise CommandError(f"{path} holds no {wanted}{hint}")
    return Input(list(_numbered(blocks)), content)


def _table(file: Path, size: int, digest: Any) -> Iterator[Block]:
    if file.suffix.lower() == ".jsonl":
        return _lines(file, size, digest)
    if file.suffix.lower() == ".parquet":
        return _parquet(file, size, digest)
    raise CommandError(f"cannot read {file}: pass a file named .jsonl or .parquet, or a folder")


def _lines(path: Path, size: int, digest: Any) -> Iterator[Block]:
    ids: list[str] = []
    lines: list[int] = []
    start = stop = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            digest.update(line)
            stop += len(line)
            if line.strip():
                ids.append(_own_id(read_line(line)))
                lines.append(number)
            if len(ids) == size:
                yield LinesBlock(path, path.name, ids, lines, start=start, stop=stop)
                ids, lines, start = [], [], stop
    if ids:
        yield LinesBlock(path, path.name, ids, lines, start=start, stop=stop)


def _parquet(path: Path, size: int, digest: Any) -> Iterator[Block]:
    line = 1
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            digest.update(json.dumps(about.to_dict(), default=str, sort_keys=True).encode())
            own: list[Any] = [{}] * about.num_rows
            if "id" in file.schema_arrow.names:
                own = file.read_row_group(group, columns=["id"]).to_pylist()
            for start in range(0, about.num_rows, size):
                ids = [_own_id(row) for row in own[start : start + size]]
                lines = list(range(line + start, line + start + len(ids)))
                yield ParquetBlock(path, path.name, ids, lines, group=group, start=start)
            line += about.num_rows


def _pictures(path: Path, prompt: str, size: int, digest: Any) -> Iterator[Block]:
    if not path.is_dir():
        raise CommandError(f"--prompt asks about the pictures of a folder, but {path} is not a folder: leave it out")
    kinds = {*VIDEOS, *image_endings()}
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if _is_one(file, kinds, path))
    digest.update(json.dumps(names).encode())
    for start in range(0, len(names), size):
        ids = names[start : start + size]
        yield PicturesBlock(path, "", ids, range(start + 1, start + 1 + len(ids)), prompt=prompt)


def _is_one(file: Path, kinds: Collection[str], folder: Path | None = None) -> bool:
    """Whether a file has one of these suffixes and is not hidden: file managers leave hidden files and folders."""
    parts = file.relative_to(folder or file.parent).parts
    return file.suffix.lower() in kinds and not any(part.startswith(".") for part in parts)


def _numbered(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks, numbered, with an id for each row."""
    counts = Counter(own for block in blocks for own in block.ids)
    files = {block.name for block in blocks if block.name}
    first = 0
    for number, block in enumerate(blocks):
        ids = [
            own if own and counts[own] == 1 and own.rpartition(":")[0] not in files else f"{block.name}:{line}"
            for own, line in zip(block.ids, block.lines, strict=True)
        ]
        yield replace(block, ids=ids, number=number, first=first)
        first += len(ids)


def _own_id(data: Mapping[str, Any] | str) -> str:
    """A row's own id; "" if it has none."""
    own = data.get("id") if isinstance(data, Mapping) else None
    name = str(own) if isinstance(own, (str, int)) and not isinstance(own, bool) else ""
    return name if name.isprintable() else ""
