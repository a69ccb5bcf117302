"""Other releases of transformers and torch, each in a folder that is laid over the development install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = Path(__file__).resolve().parent.parent.parent
FOLDERS = Path(sys.prefix, "releases")
NEWEST = "newest"
TORCHVISION = {
    "2.6": "0.21",
    "2.7": "0.22",
    "2.8": "0.23",
    "2.9": "0.24",
    "2.10": "0.25",
    "2.11": "0.26",
}  # made for each other
# transformers imports the installed torchao if it is new enough, which fails with a torch older than this
NEWER_TORCHAO, OLD_TORCHAO = Version("2.9"), "torchao==0.9.0"
VERSIONS = """import json, platform, torch, transformers
print(json.dumps([transformers.__version__, torch.__version__, platform.python_version()]))"""


def asked_by_extras():
    """By extra, what it asks of transformers, as specifiers."""
    found = (Requirement(line) for line in requires("v2drop"))
    return {str(each.marker).split('"')[1]: each.specifier for each in found if each.name == "transformers"}


def pinned(package):
    """The version of a package in constraints.txt."""
    return re.search(rf"^{package}==([\w.]+)", (PROJECT / "constraints.txt").read_text(), re.MULTILINE)[1]


def lay_over(version, torch=None):
    """The folder with this release and what it needs; made where there is none, and for `newest` always.

    Raises RuntimeError with pip's last line if it cannot be installed.
    """
    wanted = [f"transformers{asked_by_extras()['llava']}" if version == NEWEST else f"transformers=={version}"]
    if torch is not None:
        minor = ".".join(torch.split(".")[:2])
        wanted += [f"torch=={torch}", f"torchvision=={TORCHVISION[minor]}.*" if minor in TORCHVISION else "torchvision"]
        wanted += [OLD_TORCHAO] if Version(torch) < NEWER_TORCHAO else []
    folder = FOLDERS / "-".join(wanted).replace("==", "-").replace(".*", "")
    done = folder / ".done"
    if version == NEWEST or not done.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        pip = subprocess.run([*command, "--target", folder, *wanted], capture_output=True, text=True, check=False)
        if pip.returncode:
            raise RuntimeError(next(line for line in reversed(pip.stderr.splitlines()) if line.strip()))
        done.touch()
    return folder


def environment(folder):
    """Of a process that imports what is laid over, and this project's test modules."""
    ours = [
        PROJECT / name for name in ("tests", "core", "adapters", "scripts")
    ]  # also where another checkout is installed
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, *ours)))}


def installed(folder):
    """transformers', torch's and Python's version there."""
    printed = subprocess.run(
        [sys.executable, "-c", VERSIONS], env=environment(folder), capture_output=True, text=True, check=True
    )
    return tuple(json.loads(printed.stdout))
