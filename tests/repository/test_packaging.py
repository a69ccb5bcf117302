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
from packaging.requirements import Requirement

import v2drop
from v2drop_cli import docs

ROOT = Path(__file__).parent.parent.parent
CHECKPOINTS = ROOT / "scripts" / "v2drop_zoo" / "checkpoints"
PAGE_PARTS = ROOT / "scripts" / "v2drop_page" / "assets"
READERS = {"torchvision", "av", "qwen-vl-utils"}  # of Qwen2-VL's media


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by way of the sdist, so that the sdist is known to be complete too."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True, capture_output=True)
    assert len(list(out.glob("*.tar.gz"))) == 1
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_pages_that_v2drop_docs_shows(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {Path(name).stem for name in names if f"/{docs.INSTALLED}/" in name}
    assert set(docs.pages()) <= shipped


def test_the_wheel_holds_weights_licence_and_every_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "v2drop/__init__.py",
        "v2drop/py.typed",
        "v2drop_media/images.py",
        "v2drop_llava/adapter.py",
        "v2drop_cli/app.py",
        *(f"v2drop_page/assets/{part.name}" for part in PAGE_PARTS.iterdir()),
        "v2drop_llava_next/adapter.py",
        "v2drop_media/qwen_videos.py",
        "v2drop_lmms_eval/manifest.py",
        "v2drop_zoo/checkpoints/llava/model.safetensors",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith("test") or name.endswith(("state.pt", "conftest.py"))]


def test_the_wheel_holds_every_file_of_the_zoos_models(wheel):
    """Weights, cards, schedules and example pictures and videos alike."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("v2drop_zoo/checkpoints/")}
    models = [folder for folder in CHECKPOINTS.iterdir() if (folder / "v2drop.json").exists()]
    training = {"state.pt", "state.tmp", "rendezvous"}
    files = [file for folder in models for file in folder.iterdir() if file.name not in training]
    assert packed == {f"v2drop_zoo/checkpoints/{file.parent.name}/{file.name}" for file in files}
    for folder in models:
        data = json.loads((folder / "v2drop.json").read_text())
        examples = [data["image"], *([data["video"]["file"]] if "video" in data else [])]
        assert all(f"v2drop_zoo/checkpoints/{folder.name}/{example}" in packed for example in examples)


@pytest.fixture(scope="module")
def headers(wheel):
    """The wheel's metadata."""
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
    return HeaderParser().parsestr(archive.read(metadata).decode())


def brought_by(headers, extra):
    """Names of the distributions that an extra brings, also by way of other extras, each with its version's bounds."""
    requirements = [Requirement(line) for line in headers.get_all("Requires-Dist")]
    brought, asked = {}, [extra]
    while asked:
        name = asked.pop()
        for requirement in requirements:
            if requirement.marker and requirement.marker.evaluate({"extra": name}):
                brought[requirement.name] = str(requirement.specifier)
                asked += requirement.extras if requirement.name == "v2drop" else []
    brought.pop("v2drop", None)
    return brought


def test_a_plain_install_brings_torch_alone(headers):
    needed = [line for line in headers.get_all("Requires-Dist") if "extra ==" not in line]
    assert needed == ["torch>=2.6"]
    assert headers["License-Expression"] == "Apache-2.0"
    extras = {"llava", "llava-next", "qwen2-vl", "cli", "zoo", "flash-attn", "ray", "dev", "all"}
    assert extras <= set(headers.get_all("Provides-Extra"))


def test_extras_bring_what_their_models_need_and_no_more(headers):
    llava = brought_by(headers, "llava")
    assert llava.keys() == {"typer", "rich", "Pillow", "numpy", "scipy", "transformers"}
    assert brought_by(headers, "llava-next") == llava
    assert brought_by(headers, "qwen2-vl").keys() == llava.keys() | READERS
    assert brought_by(headers, "page").keys() == {"typer", "rich", "Pillow", "numpy", "scipy", "matplotlib"}
    assert brought_by(headers, "all").keys() >= brought_by(headers, "page").keys()
    assert brought_by(headers, "all").keys() >= brought_by(headers, "zoo").keys() > llava.keys() | READERS


def test_every_adapter_names_the_extra_that_brings_what_it_requires(headers):
    for point in v2drop.registered_adapters().values():
        adapter = point.load()()
        extra = adapter.extra.removeprefix("v2drop[").removesuffix("]")
        brought = {name.replace("-", "_") for name in brought_by(headers, extra)}
        assert set(adapter.requires) <= brought, point.name
        assert "transformers" in brought


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
