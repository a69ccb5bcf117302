"""Saves the progress of a long run line by line, so that a killed run can resume where it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from v2drop_terminal.errors import CommandError

JOURNAL = "journal.jsonl"
FORMAT = "journal"  # the key of the records' format in settings
SHA = "sha256"  # the key of a digest in settings
MOST = 5  # changed settings that a message lists


class Journal:
    """An append-only file of JSON lines; the first line holds the run's settings. Without a folder nothing is saved.

    Attributes:
        records: the records of this run and of the runs before it.

    Raises:
        CommandError: not a folder, or its journal is of a run with other settings or cannot be read.
    """

    def __init__(self, folder: Path | None, settings: Mapping[str, Any]) -> None:
        self.records: list[dict[str, Any]] = []
        self._file = None
        if folder is None:
            return
        if folder.exists() and not folder.is_dir():
            raise CommandError(f"{folder} is a file: --out is a folder")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / JOURNAL
        wanted = json.loads(json.dumps(settings))
        if path.exists():
            kept = path.read_bytes()
            kept = kept[: kept.rfind(b"\n") + 1]  # a killed run may have left half a line
            if kept:
                self.records = _read(path, kept, wanted)
            with path.open("r+b") as file:
                file.truncate(len(kept))
        self._file = path.open("a")
        if self._file.tell() == 0:
            self._write({"settings": wanted})

    def add(self, record: dict[str, Any]) -> None:
        """Write and flush one record."""
        self.records.append(record)
        self._write(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def _read(path: Path, content: bytes, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        first, *records = [json.loads(line) for line in content.splitlines()]
        found = first["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} is not the journal of a comparison: pass another folder to --out") from error
    if found.get(FORMAT) != wanted.get(FORMAT):
        raise CommandError(f"{path} was written by another version of v2drop: pass another folder to --out")
    check_settings(f"{path} belongs to", found, wanted, "--out")
    return records


def check_settings(owner: str, found: Mapping[str, Any], wanted: Mapping[str, Any], option: str) -> None:
    """Raise CommandError if the settings of a resumed run differ from those of the stopped run.

    Args:
        owner: the start of the message: a path, and "belongs to" or "holds".
        option: the option that names the folder.
    """
    if changes := list(_changes("", found, wanted)):
        told = ", ".join(changes[:MOST]) + (f" and {len(changes) - MOST} more" if len(changes) > MOST else "")
        raise CommandError(
            f"{owner} a run with other settings: {told}; pass the same settings to resume it, or another folder to {option}"
        )


def _changes(name: str, before: Any, now: Any) -> Iterator[str]:
    """The differences in words; for a digest, only that it changed."""
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in {**now, **before}:
            yield from _changes(f"{name}, {key}" if name and key != SHA else name or key, before.get(key), now.get(key))
    elif before is None and isinstance(now, Mapping):
        yield f"{name} is new"
    elif now is None and isinstance(before, Mapping):
        yield f"{name} is gone"
    elif all(isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) for value in (before, now)):
        yield f"what is in {name} changed"
    else:
        yield f"{name} was {before!r} and is now {now!r}"
