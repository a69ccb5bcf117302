"""Old names work for one release, with a warning that says the new one."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import v2drop
from v2drop.renamed import MODULES


@pytest.mark.parametrize("old", MODULES)
def test_modules_are_found_by_their_old_names(old):
    sys.modules.pop(old, None)
    new = import_module(MODULES[old])
    spec = new.__spec__
    with pytest.warns(DeprecationWarning, match=rf"{old} is {MODULES[old]} now") as warned:
        assert import_module(old) is new
    assert new.__spec__ is spec
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [
        ("v2drop", "Rows", "KeptTokens"),
        ("v2drop", "Medium", "MediaItem"),
        ("v2drop.layout", "Medium", "MediaItem"),
        ("v2drop.methods.dart", "Dart", "DART"),
    ],
)
def test_classes_are_found_by_their_old_names(package, old, new):
    module = import_module(package)
    with pytest.warns(DeprecationWarning, match=rf"{package}\.{old} is {package}\.{new} now"):
        assert getattr(module, old) is getattr(module, new)


def test_other_names_are_not_found():
    with pytest.raises(AttributeError, match="module 'v2drop' has no attribute 'rows_of'"):
        _ = v2drop.rows_of
    with pytest.raises(ModuleNotFoundError):
        import_module("v2drop.nothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [("v2drop_scripts", "v2drop_cli"), ("v2drop_zoo.evaluate", "v2drop_zoo_training.evaluate")],
)
def test_old_commands_run(old, new):
    command = [sys.executable, "-W", "always::DeprecationWarning", "-m", old, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert f"{old} is {new} now" in done.stderr
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is {new} now"):
        import_module(old)
