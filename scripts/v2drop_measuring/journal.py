"""What a long run has done so far, line by line on disk, so that a killed run can go on where it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from v2drop_terminal.errors import CommandError

JOURNAL = "journal.jsonl"
FORMAT = "journal"  # the name of the records' format among settings
SHA = "sha256"  # the name of a digest among settings
MOST = 5  # so many changes are told one by one


class Journal:
    """An append-only file of JSON lines, the first of which holds the run's settings. Without a folder it forgets.

    Attributes:
        records: what was written, by this run and by those before it.

    Raises:
        CommandError: no folder, or it holds the journal of a run with other settings, or something else.
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
        """Write one record; it is on disk when this returns."""
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
    """Raise CommandError where a run that goes on is asked for something else than the one that was stopped.

    Args:
        owner: how the message begins: what is there, and "belongs to" or "holds".
        option: of the folder.
    """
    if changes := list(_changes("", found, wanted)):
        told = ", ".join(changes[:MOST]) + (f" and {len(changes) - MOST} more" if len(changes) > MOST else "")
        raise CommandError(
            f"{owner} a run with other settings: {told}; pass the same settings to go on with it, or another folder to {option}"
        )


def _changes(name: str, before: Any, now: Any) -> Iterator[str]:
    """What differs, as people call it; of what is told by a digest alone, only that it does."""
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
