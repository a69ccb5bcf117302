"""The folder of answers: one parquet file per block, written atomically, so that a run can end at any moment."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from v2drop_measuring.journal import check_settings
from v2drop_terminal.errors import CommandError

from .answerer import Answer, Rejected

ANSWERS, REJECTED, RUN = "answers", "rejected.parquet", "run.json"
EXPORTS = (".csv", ".jsonl")
ATTEMPTS = 3  # per block, which may kill its actor
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
_REJECTED_KEY = b"v2drop.rejected"  # in a block's file: its rejected rows, as JSON, so that one file holds all


@dataclass(frozen=True)
class Summary:
    """Totals over some rows."""

    answered: int = 0
    rejected: int = 0
    vision_tokens: int = 0
    tokens_kept: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(*(one + two for one, two in zip(asdict(self).values(), asdict(other).values(), strict=True)))


class Store:
    """The answers in a folder.

    A block's file is named after the block's number, and has a temporary name until it is complete. No row can be there
    twice or in part, whoever answers its block and however often.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.answers = folder, folder / ANSWERS

    def start(self, settings: Mapping[str, Any]) -> None:
        """Create the folder or resume in it. Raises CommandError if it holds a run with other settings, or other files."""
        wanted, file = json.loads(json.dumps(settings)), self.folder / RUN
        if file.exists():
            try:
                found = dict(json.loads(file.read_text()))
            except ValueError as error:
                raise CommandError(f"cannot read {file}: {error}; pass another folder to --out") from error
            check_settings(f"{self.folder} holds", found, wanted, "--out")
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise CommandError(
                f"{self.folder} is not empty and not a run of v2drop batch: pass another folder to --out"
            )
        self.answers.mkdir(parents=True, exist_ok=True)
        for left_over in [*self.folder.glob(".*.tmp"), *self.answers.glob(".*.tmp")]:
            left_over.unlink(missing_ok=True)
        _replace(file, lambda out: out.write(json.dumps(wanted, indent=1).encode()))

    def begin(self, block: int) -> None:
        """Record that a block has begun. Raises CommandError if it has begun `ATTEMPTS` times since `start`."""
        for attempt in range(ATTEMPTS):
            with suppress(FileExistsError):
                (self.answers / f".begun-{block:06}-{attempt}.tmp").touch(exist_ok=False)
                return
        raise CommandError(
            f"the actor died {ATTEMPTS} times on this block: if memory is too small, try a smaller --batch-size"
        )

    def holds(self, block: int) -> bool:
        """Whether a block is done."""
        return self._file(block).exists()

    def write(self, block: int, outcomes: Iterable[Answer | Rejected]) -> None:
        """Write the outcomes of a block's rows; they are on disk when this returns."""
        rows = list(outcomes)
        answers = [asdict(row) for row in rows if isinstance(row, Answer)]
        rejected = [asdict(row) for row in rows if isinstance(row, Rejected)]
        schema = _schema(Answer).with_metadata({_REJECTED_KEY: json.dumps(rejected)})
        _replace(self._file(block), lambda out: pq.write_table(pa.Table.from_pylist(answers, schema), out))
        for begun in self.answers.glob(f".begun-{block:06}-*.tmp"):
            begun.unlink(missing_ok=True)

    def summary(self, block: int) -> Summary:
        """Totals over a block's rows."""
        table = pq.ParquetFile(self._file(block)).read(columns=list(asdict(Summary()))[2:])
        sums = {name: sum(table[name].to_pylist()) for name in table.column_names}
        return Summary(table.num_rows, len(self.rejected(block)), **sums)

    def rejected(self, block: int) -> list[dict[str, Any]]:
        """The rejected rows of a block."""
        return json.loads(pq.read_schema(self._file(block)).metadata[_REJECTED_KEY])

    def write_rejected(self, blocks: Sequence[int]) -> None:
        """Write the rejected rows of these blocks to one file."""
        rows = [row for block in blocks for row in self.rejected(block)]
        table = pa.Table.from_pylist(rows, _schema(Rejected))
        _replace(self.folder / REJECTED, lambda out: pq.write_table(table, out))

    def export(self, blocks: Sequence[int], path: Path) -> None:
        """Write the answers of these blocks, in order, to one CSV or JSON Lines file, by its suffix."""

        def write(out: BinaryIO) -> None:
            text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
            table = csv.DictWriter(text, [field.name for field in fields(Answer)])
            if path.suffix.lower() == ".csv":
                table.writeheader()
            for block in blocks:
                for row in pq.ParquetFile(self._file(block)).read().to_pylist():
                    if path.suffix.lower() == ".csv":
                        table.writerow(row)
                    else:
                        text.write(json.dumps(row) + "\n")
            text.detach()

        _replace(path, write)

    def _file(self, block: int) -> Path:
        return self.answers / f"block-{block:06}.parquet"


def check_export(path: Path) -> None:
    """Raise CommandError for a file that `Store.export` cannot write."""
    if path.suffix.lower() not in EXPORTS or path.is_dir() or not path.resolve().parent.is_dir():
        raise CommandError(f"cannot write {path}: name a {' or '.join(EXPORTS)} file in an existing folder")


def _schema(row: type[Answer | Rejected]) -> pa.Schema:
    return pa.schema([(field.name, _TYPES[str(field.type)]) for field in fields(row)])


def _replace(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the whole new one."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}.tmp")
    with draft.open("wb") as out:
        write(out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
