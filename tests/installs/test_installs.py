"""What people install: the wheel with one extra, without constraints, whatever pip brings today."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from support.tiny_checkpoints import BUILDERS, save_tiny

from v2drop_zoo import CHECKPOINTS, zoo_models

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(os.environ["V2DROP_INSTALLS"]).resolve()
EXTRAS = {  # what is installed, and the model type that it serves
    "llava": "llava",
    "llava-next": "llava_next",
    "llava-onevision": "llava_onevision",
    "qwen2-vl": "qwen2_vl",
    "qwen2-5-vl": "qwen2_5_vl",
}


class Install:
    """A virtual environment that knows nothing of this checkout."""

    def __init__(self, folder):
        self.folder = folder

    @classmethod
    def make(cls, folder, *lent):
        """A new one; the site-packages of `lent` serve it too, so that torch need not be there for each extra."""
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = cls(folder)
        install.site.joinpath("lent.pth").write_text("\n".join(str(other.site) for other in lent))
        return install

    @property
    def site(self):
        return next(self.folder.glob("lib/python*/site-packages"))

    def call(self, *arguments, program="python"):
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        command = [self.folder / "bin" / program, *map(str, arguments)]
        done = subprocess.run(
            command, env={**clean, "HF_HUB_OFFLINE": "1"}, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{' '.join(map(str, arguments))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def pip(self, *wanted):
        self.call("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT], check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def torch_alone():
    """The newest torch, once for all; what is there already is brought up to date."""
    folder = FOLDER / "torch"
    install = Install(folder) if (folder / "bin" / "python").exists() else Install.make(folder)
    install.pip("--upgrade", "torch")
    return install


@pytest.fixture(scope="module", params=EXTRAS)
def extra(request, wheel, torch_alone):
    """The name of an extra, an environment with it, a model's folder, and what follows a `v2drop` command's name."""
    name, model_type = request.param, EXTRAS[request.param]
    install = Install.make(FOLDER / name, torch_alone)
    install.pip(f"v2drop[{name}] @ {wheel.as_uri()}")
    folder = CHECKPOINTS / model_type if model_type in zoo_models() else FOLDER / f"tiny-{model_type}"
    if model_type in BUILDERS and model_type not in zoo_models():
        folder.mkdir(exist_ok=True)
        save_tiny(model_type, folder)
    return name, install, folder


def questions(folder):
    """A file of its own questions about a model's example picture, of unequal length."""
    data = json.loads((folder / "v2drop.json").read_text())
    file, prompt = FOLDER / f"{folder.name}.jsonl", data["prompt"]
    rows = [
        {"question": " ".join([prompt] * times), "image": str(folder / data["image"]), "answers": ["left"]}
        for times in (1, 2, 3)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_a_padded_batch_of_unequal_prompts(extra):
    _, install, folder = extra
    print(install.call(ROOT / "tests" / "installs" / "padded_batch.py", folder))


def test_run_at_keep_1_and_dropped(extra):
    _, install, folder = extra
    everything = json.loads(install.call("run", "--model", folder, "--retain", 1, "--json", program="v2drop"))
    assert everything["dense"]["answer"] == everything["dropped"]["answer"]
    dropped = json.loads(install.call("run", "--model", folder, "--retain", 0.5, "--json", program="v2drop"))
    assert dropped["dropped"]["retained"] == pytest.approx(0.5, abs=0.08)


def test_the_pages_that_messages_name_are_there(extra):
    _, install, _ = extra
    assert "Caches" in install.call("docs", "limits", program="v2drop")


def test_compare_methods_on_its_own_questions(extra):
    _, install, folder = extra
    command = ("compare-methods", "--model", folder, "--task", questions(folder), "--retain", 0.5, "--json")
    found = json.loads(install.call(*command, program="v2drop"))
    assert found["rows"]


def test_show_and_batch_with_their_extras(extra, wheel):
    name, install, folder = extra
    install.pip(f"v2drop[{name},page,ray] @ {wheel.as_uri()}")
    install.call("show", "--model", folder, "--out", FOLDER / "page.html", program="v2drop")
    assert (FOLDER / "page.html").stat().st_size > 10_000
    out = FOLDER / f"answers-{name}"
    shutil.rmtree(out, ignore_errors=True)
    command = ("batch", "--input", questions(folder), "--out", out, "--model", folder, "--retain", 0.5, "--json")
    assert json.loads(install.call(*command, program="v2drop"))["answered"] == 3
