"""Blocks of rows of an input, with all that is needed to read them on another machine or in another run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from v2drop_loading.question import read_object

VIDEOS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".mpg", ".mpeg")
Data = Mapping[str, Any] | str  # a row's keys, or why it has none


@dataclass(frozen=True)
class Row:
    """A row of the input.

    Attributes:
        id: unique in the input.
        number: the row's number in the whole input.
        file: name of its file.
        line: line in that file, counted from 1; for a picture, its number in the folder's list.
        data: the row's keys, or why it cannot be read.
        folder: the folder that its paths are relative to.
    """

    id: str
    number: int
    file: str
    line: int
    data: Data
    folder: Path


@dataclass(frozen=True)
class Block(ABC):
    """Rows of one file that are answered and written together.

    Attributes:
        path: the file, or the folder of pictures.
        name: name of the file; "" for a folder of pictures.
        ids: ids of its rows; "" for rows that have none yet.
        lines: lines of its rows.
        number: the block's number in the whole input.
        first: number of its first row in the whole input.
    """

    path: Path
    name: str
    ids: Sequence[str]
    lines: Sequence[int]
    number: int = 0
    first: int = 0

    def rows(self) -> list[Row]:
        """Read its rows."""
        folder = self.path if self.path.is_dir() else self.path.parent
        numbers = range(self.first, self.first + len(self.ids))
        known = zip(self.ids, numbers, self.lines, self._read(), strict=True)
        return [Row(own, number, self.name or own, line, data, folder) for own, number, line, data in known]

    @abstractmethod
    def _read(self) -> Iterator[Data]:
        """The data of its rows."""


@dataclass(frozen=True)
class LinesBlock(Block):
    """Lines of a JSON Lines file between two byte offsets; blank lines do not count."""

    start: int = 0
    stop: int = 0

    def _read(self) -> Iterator[Data]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            lines = file.read(self.stop - self.start).split(b"\n")
        return (read_line(line) for line in lines if line.strip())


@dataclass(frozen=True)
class ParquetBlock(Block):
    """Rows of a row group, starting at `start`."""

    group: int = 0
    start: int = 0

    def _read(self) -> Iterator[Data]:
        rows = _row_group(self.path, self.group).slice(self.start, len(self.ids)).to_pylist()
        return ({key: value for key, value in row.items() if value is not None} for row in rows)


@dataclass(frozen=True)
class PicturesBlock(Block):
    """Pictures and videos of a folder, by their ids, each with the same question."""

    prompt: str = ""

    def _read(self) -> Iterator[Data]:
        for name in self.ids:
            kind = "video" if Path(name).suffix.lower() in VIDEOS else "image"
            yield {"question": self.prompt, kind: name}


def read_line(line: bytes) -> Data:
    """The data of a line of a JSON Lines file."""
    try:
        return read_object(line.decode("utf-8-sig"))  # the first line may begin with a byte order mark
    except ValueError as error:
        return str(error)


_last_group: dict[tuple[Path, int], Any] = {}


def _row_group(path: Path, group: int) -> Any:
    """A row group of a file. The last one is kept, since the next block is often from the same row group."""
    if (path, group) not in _last_group:
        _last_group.clear()
        with pq.ParquetFile(path) as file:
            _last_group[path, group] = file.read_row_group(group)
    return _last_group[path, group]
