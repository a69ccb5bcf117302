"""What `make` notices of the environment that it works in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_setup(tmp_path):
    """Runs `make setup` in an environment that looks set up; returns what it calls Python with."""
    noted = tmp_path / "lib/python3.11/site-packages/v2drop-1.0.dist-info/direct_url.json"
    noted.parent.mkdir(parents=True)
    python, log = tmp_path / "bin" / "python", tmp_path / "log"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    python.chmod(0o755)
    (tmp_path / ".installed-dev").touch()

    def run(content):
        noted.write_text(content)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        command = ["make", "--no-print-directory", "setup", f"VENV={tmp_path}"]
        done = subprocess.run(command, cwd=PROJECT, env=clean, capture_output=True, text=True, check=True)
        return done.stdout, log.read_text() if log.exists() else ""

    return run


def test_a_development_install_is_left_alone(make_setup):
    assert make_setup('{"dir_info": {"editable": true}, "url": "file:///project"}') == ("", "")


def test_a_copy_in_the_place_of_a_development_install_is_told_and_replaced(make_setup):
    told, called = make_setup('{"dir_info": {}, "url": "file:///project"}')
    assert "is a copy of the sources" in told
    assert "pip install" in called
    assert "--editable .[dev]" in called
