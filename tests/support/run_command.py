"""The `v2drop` command in the tests' own process, which has transformers loaded already."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def command(capsys, monkeypatch):
    """Runs the command with these arguments: its exit code and what it prints."""

    def call(*arguments):
        from v2drop_cli.app import run_app

        monkeypatch.setattr(sys, "argv", ["v2drop", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_app()
        return stop.value.code, capsys.readouterr()

    return call
