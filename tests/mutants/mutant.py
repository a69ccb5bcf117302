"""A mutant: one thing that is broken on purpose, and the tests that should notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class StaleMutantError(Exception):
    """The text that a mutant replaces does not stand exactly once in its file: the source has moved on."""


@dataclass(frozen=True)
class Mutant:
    """A text of one file, and what replaces it.

    Attributes:
        row: the feature that it breaks.
        broken: what is wrong then, in words.
        file: the path from the project's root.
        old: the text that is replaced; it stands there exactly once.
        new: what replaces it.
        tests: pytest's ids of the tests of which one should fail.
    """

    row: str
    broken: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @contextmanager
    def planted(self, project: Path) -> Iterator[None]:
        """The project with this broken, and whole again afterwards. Raises StaleMutantError."""
        path = project / self.file
        whole = path.read_text()
        found = whole.count(self.old)
        if found != 1:
            raise StaleMutantError(f"{self.file} holds {found} times: {self.old}")
        path.write_text(whole.replace(self.old, self.new))
        try:
            yield
        finally:
            path.write_text(whole)

    def covers(self, test: str) -> bool:
        """Whether a test's id is one of this mutant's, or a case of one."""
        return any(test == mine or test.startswith((f"{mine}[", f"{mine}::")) for mine in self.tests)
