"""Packages look only down: import-linter notices an import that does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOTS = ("core", "adapters", "scripts")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the packages, without their data."""
    folder = tmp_path_factory.mktemp("sources")
    for root in ROOTS:
        shutil.copytree(ROOT / root, folder / root, ignore=shutil.ignore_patterns("checkpoints", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder):
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder / root) for root in ROOTS)}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("core/v2drop/kept_tokens.py", "import transformers", "The method needs torch alone"),
        ("core/v2drop_media/depth.py", "from v2drop_llava import LlavaAdapter", "Packages look only down"),
        ("adapters/v2drop_llava/adapter.py", "from v2drop_cli import errors", "Packages look only down"),
        ("core/v2drop/hf/masks.py", "from v2drop.runtime import attachment", "The core's rooms look only down"),
        (
            "core/v2drop/dropper.py",
            "from v2drop.conformance import cases",
            "Nothing that runs needs the conformance kit",
        ),
        ("scripts/v2drop_loading/media.py", "def late():\n    import v2drop_cli", "Packages look only down"),
    ],
)
def test_a_forbidden_import_is_noticed(sources, file, line, contract):
    path = sources / file
    before = path.read_text()
    path.write_text(f"{before}\n\n{line}\n")
    try:
        done = lint(sources)
    finally:
        path.write_text(before)
    assert done.returncode == 1
    broken = [told for told in done.stdout.splitlines() if told.endswith("BROKEN")]
    assert any(told.startswith(contract) for told in broken), done.stdout


def test_the_sources_as_they_are_keep_all_contracts(sources):
    done = lint(sources)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout
