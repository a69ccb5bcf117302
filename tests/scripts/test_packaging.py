"""The built wheel: it holds everything, runs elsewhere, and asks for torch alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by way of the sdist, so that the sdist is known to be complete too."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True, capture_output=True)
    assert len(list(out.glob("*.tar.gz"))) == 1
    return next(out.glob("*.whl"))


def test_the_wheel_holds_weights_licence_and_every_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "v2drop/__init__.py",
        "v2drop/py.typed",
        "v2drop_llava/adapter.py",
        "v2drop_scripts/app.py",
        "v2drop_zoo/checkpoints/llava/model.safetensors",
        "v2drop_zoo/checkpoints/llava/README.md",
        "v2drop_zoo/checkpoints/llava/v2drop.json",
        "v2drop_zoo/checkpoints/llava/example.png",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "test" in name or name.endswith("state.pt")]


def test_a_plain_install_brings_torch_alone(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
    headers = HeaderParser().parsestr(archive.read(metadata).decode())
    needed = [line for line in headers.get_all("Requires-Dist") if "extra ==" not in line]
    assert needed == ["torch>=2.6"]
    assert headers["License-Expression"] == "Apache-2.0"
    assert {"llava", "cli", "zoo", "flash-attn", "dev", "all"} <= set(headers.get_all("Provides-Extra"))


def test_the_wheel_runs_elsewhere(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    where = "import v2drop, v2drop_zoo; print(v2drop.__file__, v2drop_zoo.__file__)"
    found = subprocess.run([sys.executable, "-c", where], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert all(path.startswith(str(target)) for path in found.stdout.split())
    run = [sys.executable, target / "bin" / "v2drop", "run", "--json"]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["dense"]["answer"] == data["dropped"]["answer"]
    assert data["image"].startswith(str(target))
