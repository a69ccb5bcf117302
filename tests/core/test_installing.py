"""An install without much beside it: what adds an extra to it, `python -m v2drop`, and torch without NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import v2drop
from v2drop.installing import pip_install


def installed(site, name, direct_url=None):
    """Make a folder look as pip leaves it behind a distribution."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url))
    return info


@pytest.mark.parametrize(
    ("direct_url", "wanted"),
    [
        (None, "pip install 'v2drop-x[page]'"),
        ({"url": "file:///src/a%20b", "dir_info": {"editable": True}}, "pip install -e '/src/a b[page]'"),
        ({"url": "file:///src/checkout", "dir_info": {}}, "pip install '/src/checkout[page]'"),
        (
            {"url": "file:///w/x-1.0-py3-none-any.whl", "archive_info": {}},
            "pip install '/w/x-1.0-py3-none-any.whl[page]'",
        ),
        ({"url": "https://a.b/x.whl", "archive_info": {}}, "pip install 'v2drop-x[page] @ https://a.b/x.whl'"),
        (
            {"url": "https://a.b/x.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            "pip install 'v2drop-x[page] @ git+https://a.b/x.git@c0ffee'",
        ),
    ],
)
def test_an_extra_is_added_to_what_is_installed(direct_url, wanted, tmp_path, monkeypatch):
    installed(tmp_path, "v2drop-x", direct_url)
    monkeypatch.syspath_prepend(tmp_path)
    assert pip_install("v2drop-x[page]") == wanted


def test_what_is_not_installed_comes_from_an_index():
    assert pip_install("v2drop-nowhere[page]") == "pip install 'v2drop-nowhere[page]'"


def run(*arguments, site=None, cwd=None):
    path = [str(site)] if site else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=cwd)


def test_python_m_v2drop_is_the_command():
    done = run("-m", "v2drop", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{v2drop.__version__}\n", "")


def test_python_m_v2drop_says_what_is_missing(tmp_path):
    installed(tmp_path, "v2drop", {})  # stands before the real one, and brings no command
    done = run("-m", "v2drop", site=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the v2drop command is not installed here: pip install 'v2drop[cli]'\n"


def test_importing_v2drop_warns_of_nothing_where_there_is_no_numpy():
    done = run("-W", "error", "-c", "import sys; sys.modules['numpy'] = None; import v2drop")
    assert (done.returncode, done.stderr) == (0, "")
