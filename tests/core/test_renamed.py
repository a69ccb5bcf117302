"""Old names work for one release, with a warning that says the new one."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import torch

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
        ("v2drop.methods", "Look", "LayerProbe"),
        ("v2drop.methods.base", "Look", "LayerProbe"),
        ("v2drop.methods.dart", "Dart", "DART"),
        ("v2drop.kept_tokens", "Rows", "KeptTokens"),
    ],
)
def test_classes_are_found_by_their_old_names(package, old, new):
    module = import_module(package)
    with pytest.warns(DeprecationWarning, match=rf"{package}\.{old} is {package}\.{new} now"):
        assert getattr(module, old) is getattr(module, new)


def test_attributes_are_found_by_their_old_names():
    kept = v2drop.KeptTokens(torch.tensor([[0, 2]]), None)
    with pytest.warns(DeprecationWarning, match="KeptTokens.index is KeptTokens.positions now"):
        assert kept.index is kept.positions
    with pytest.warns(DeprecationWarning, match="KeptTokens.valid is KeptTokens.is_token now"):
        assert kept.valid is None
    context = v2drop.StageContext(**dict.fromkeys(v2drop.StageContext.__dataclass_fields__))
    with pytest.warns(DeprecationWarning, match="StageContext.look is StageContext.probe now"):
        assert context.look is None


def test_other_names_are_not_found():
    with pytest.raises(AttributeError, match="module 'v2drop' has no attribute 'rows_of'"):
        _ = v2drop.rows_of
    with pytest.raises(ModuleNotFoundError):
        import_module("v2drop.nothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v2drop_scripts", "v2drop_cli"),
        *((f"v2drop_zoo.{name}", f"v2drop_zoo_training.{name}") for name in ("card", "evaluate", "results", "train")),
    ],
)
def test_old_commands_run(old, new):
    command = [sys.executable, "-m", old, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert f"{old} is {new} now" in done.stderr
