"""Runs the `v2drop` command in the test process, which has already loaded transformers."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def command(capsys, monkeypatch):
    """A function that runs the command with arguments and returns its exit code and output."""

    def call(*arguments):
        from v2drop_cli.app import run_app

        monkeypatch.setattr(sys, "argv", ["v2drop", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_app()
        return stop.value.code, capsys.readouterr()

    return call
