"""What a long run has done so far, line by line on disk, so that a killed run can go on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import CommandError

JOURNAL = "journal.jsonl"


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
    check_settings(f"{path} belongs to", found, wanted, "--out")
    return records


def check_settings(owner: str, found: Mapping[str, Any], wanted: Mapping[str, Any], option: str) -> None:
    """Raise CommandError where a run that goes on is asked for something else than the one that was stopped.

    Args:
        owner: how the message begins: what is there, and "belongs to" or "holds".
        option: of the folder.
    """
    for name in {**wanted, **found}:
        if wanted.get(name) != found.get(name):
            raise CommandError(
                f"{owner} a run with other settings: {name} was {found.get(name)!r} and is now {wanted.get(name)!r}; "
                f"pass the same settings to go on with it, or another folder to {option}"
            )
