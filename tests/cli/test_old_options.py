"""Old names of options work for one release, with a note."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["batch", "--input", "no-such-file", "--output", "out"], "--output is --out now"),
        (["batch", "--input", "no-such-file", "--output=out", "--batch", "3"], "--batch is --batch-size now"),
        (["bench", "--geometry", "no-such-model", "--batch", "3"], "--batch is --batch-size now"),
    ],
)
def test_old_names_are_taken_and_noted(words, note, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = command(*words)
    assert code == 2
    assert note in printed.err
    assert "no-such" in printed.err  # the command itself went on
