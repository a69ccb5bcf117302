"""What a smaller install can do: pictures for LLaVA without torchvision, PyAV or qwen-vl-utils, and a word on the rest."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.readme_commands import DOCS, HERE, command_lines
from support.tiny_checkpoints import save_tiny

from v2drop.installing import pip_install

ROOT = Path(__file__).parent.parent.parent
NOT_LLAVAS = ("torchvision", "decord", "qwen_vl_utils", "av", "sklearn", "scikit_learn", "matplotlib", "ray", "pyarrow")


@pytest.fixture(scope="module")
def llava_install(tmp_path_factory):
    """Runs the command on an install that lacks what `v2drop[llava]` does not bring: all else is linked into a folder."""
    site = tmp_path_factory.mktemp("site")
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            name = entry.name.partition("-")[0].removesuffix(".libs")
            if name not in NOT_LLAVAS and not (site / entry.name).exists():
                (site / entry.name).symlink_to(entry)
    parts = [site, *(ROOT / part for part in ("core", "adapters", "scripts"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, parts))}

    def call(*arguments):
        # -S: Python does not look into its own site-packages
        command = [sys.executable, "-S", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=site)

    return call


def test_the_install_lacks_what_it_should(llava_install):
    script = (
        f"import importlib.util as u; print([n for n in {NOT_LLAVAS} if u.find_spec(n)], u.find_spec('v2drop').origin)"
    )
    assert llava_install("-c", script).stdout.split() == ["[]", str(ROOT / "core" / "v2drop" / "__init__.py")]


def test_llava_runs(llava_install):
    done = llava_install("-m", "v2drop_cli", "run", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["dense"]["answer"] == data["dropped"]["answer"]


def test_qwen2_vl_says_what_to_install(llava_install, tmp_path):
    folder = save_tiny("qwen2_vl", tmp_path)
    done = llava_install("-m", "v2drop_cli", "run", "--model", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == (
        f"Error: {folder} is a qwen2_vl model, whose pictures and videos are read with torchvision and qwen_vl_utils and "
        "av, which are missing: " + pip_install("v2drop[qwen2-vl]")
    )


def test_a_page_says_what_to_install(llava_install, tmp_path):
    compare = ("compare-methods", "--questions", "1", "--html", tmp_path / "page.html")
    for command in (("show", "--out", tmp_path / "page.html"), compare):
        done = llava_install("-m", "v2drop_cli", *command)
        assert (done.returncode, done.stdout) == (2, "")
        wanted = "Error: pages are drawn with matplotlib, which is missing: " + pip_install("v2drop[page]")
        assert done.stderr.strip().splitlines()[-1] == wanted


def test_bulk_inference_says_what_to_install(llava_install, tmp_path):
    done = llava_install("-m", "v2drop_cli", "batch", "--input", tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "Error: bulk inference runs on ray and pyarrow, which are missing: " + pip_install(
        "v2drop[ray]"
    )


def after_make_demo():
    """The quick start's lines that follow `make demo`: `make demo` installs what this install has."""
    lines = command_lines(DOCS / "quick-start.md")
    return [line for line in lines if line.text.startswith("v2drop ") and not line.marked]


@pytest.mark.parametrize("line", after_make_demo(), ids=lambda line: line.text)
def test_what_the_quick_start_lists_after_make_demo_works_there_or_names_its_extra(llava_install, line):
    words = [HERE.get(line.text, {}).get(word, word) for word in shlex.split(line.text)]
    done = llava_install("-m", "v2drop_cli", *words[1:])
    if line.extra is None:
        assert done.returncode == 0, done.stderr
    else:
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("Error: "), done.stderr
        assert done.stderr.rstrip().endswith(pip_install(f"v2drop[{line.extra}]"))
        assert len(done.stderr.splitlines()) == 1


def test_zoo_questions_say_what_to_install(llava_install):
    done = llava_install("-m", "v2drop_zoo_training.evaluate", "llava", "--questions", "1")
    assert (done.returncode, done.stdout) == (2, "")
    wanted = f"Error: the zoo's questions are made with sklearn, which is missing: {pip_install('v2drop[zoo]')}"
    assert done.stderr.strip() == wanted


def test_comparisons_say_that_scipy_is_missing_before_they_ask(llava_install, tmp_path):
    script = (
        "import sys; sys.modules['scipy'] = None; sys.argv = ['v2drop', 'compare-methods', '--questions', '1'];"
        "import v2drop_cli; v2drop_cli.main()"
    )
    done = llava_install("-c", script)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().endswith(f"scipy, which is missing: {pip_install('v2drop[cli]')}")


def test_every_adapter_imports(llava_install):
    script = "import v2drop; print([type(p.load()()).__name__ for p in v2drop.registered_adapters().values()])"
    done = llava_install("-c", script)
    assert done.returncode == 0, done.stderr
    assert "Qwen2VLAdapter" in done.stdout
