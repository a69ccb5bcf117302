"""Help and completion do not wait for torch, offer what there is, and output fits where it goes."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from rich.console import Console
from support.tiny_llava import tiny_llava

import v2drop
from v2drop.conformance import MaskingTruth
from v2drop_bench.geometries import GEOMETRIES as PUBLISHED
from v2drop_cli.options import GEOMETRIES, complete_model
from v2drop_comparing.results import MEASURED
from v2drop_comparing.table_output import print_results
from v2drop_llava import LlavaAdapter
from v2drop_loading.defaults import DTYPES
from v2drop_loading.methods import find_method
from v2drop_zoo import zoo_models

HEAVY = ("torch", "transformers", "numpy", "scipy", "matplotlib")
SCRIPT = """
import sys
sys.argv = ["v2drop", *sys.argv[1:]]
import v2drop_cli
try:
    v2drop_cli.main()
finally:
    print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""


def v2drop_process(*arguments, **environment):
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments]
    everything = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    return subprocess.run(command, env=everything, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["", "run", "schedule", "compare-methods", "compare-models", "bench", "batch",
                                     "eval", "show", "adapters", "new-adapter"])  # fmt: skip
def test_help_imports_nothing_heavy(command):
    done = v2drop_process(*filter(None, [command]), "--help")
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "Usage: v2drop" in done.stdout


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("v2drop comp", ["compare-methods", "compare-models"]),
        ("v2drop run --model llava_", ["llava_control", "llava_next"]),
        ("v2drop compare-models --model qwen", ["qwen2_vl"]),
        ("v2drop batch --method s", ["sparsevlm"]),
        ("v2drop show --method u", ["uniform"]),
        ("v2drop eval --preset p", ["pyramiddrop"]),
        ("v2drop bench --geometry llava-n", ["llava-next-7b"]),
    ],
)
def test_completion_offers_names_and_imports_nothing_heavy(line, wanted):
    done = v2drop_process(_V2DROP_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(line.split()) - 1))
    assert (done.stdout.split(), done.stderr) == (wanted, "[]\n")


def test_models_are_completed_with_folders_too(tmp_path, monkeypatch):
    (tmp_path / "llava-mine" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert complete_model("llava") == [*(name for name in zoo_models() if name.startswith("llava")), "llava-mine"]
    assert complete_model("llava-mine/") == ["llava-mine/deeper"]
    assert complete_model(f"{tmp_path}/ll") == [f"{tmp_path}/llava-mine"]


def test_options_name_what_there_is():
    assert tuple(PUBLISHED) == GEOMETRIES
    assert all(isinstance(getattr(torch, name), torch.dtype) for name in DTYPES)


def test_adapters_fit_a_screen_of_80_columns(command):
    code, printed = command("adapters")
    assert code == 0
    assert max(map(len, printed.out.splitlines())) <= 80
    assert re.search(r"^qwen2_5_vl +v2drop_qwen2_5_vl:Qwen2_5_VLAdapter +v2drop 0", printed.out, flags=re.M)


def test_names_of_methods_are_never_cut(capsys):
    row = dict.fromkeys((*MEASURED, "budget", "unreachable"))
    row = {**row, "model": "llava", "modality": "image", "accuracy": 0.5, "right": 1, "asked": 2}
    names = ["pyramiddrop", "my_package.my_module:MyMethod"]
    console = Console(width=60, force_terminal=True, color_system=None, record=True)
    print_results(console, {"rows": [{**row, "method": name} for name in names]})
    text = console.export_text()
    assert all(text.count(name) == 2 for name in names)


class Backwards(v2drop.Method):
    """Tokens that come last stay."""

    name = "backwards"

    def score(self, context):
        return context.rank.float()


@pytest.fixture
def importable(monkeypatch):
    """This module by a name that commands can import."""
    monkeypatch.setitem(sys.modules, "my_methods", sys.modules[__name__])


def test_a_method_of_ones_own_is_named_by_its_class(importable, command):
    assert isinstance(find_method("my_methods:Backwards"), Backwards)
    code, printed = command("run", "--method", "my_methods:Backwards", "--max-new-tokens", 1)
    assert code == 0, printed.err
    assert "chosen by my_methods:Backwards" in printed.out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_package:Method", "no_such_package.*pass package:Class"),
        ("my_methods:Forwards", "Forwards"),
        ("my_methods:HEAVY", "not a subclass of v2drop.Method"),
        ("v2drop:Method", "cannot be made without options"),
        ("backwards", "unknown method"),
    ],
)
def test_methods_that_there_are_not_are_refused(name, told, importable, command):
    code, printed = command("run", "--method", name)
    assert (code, printed.out) == (2, "")
    assert re.search(told, printed.err), printed.err


def test_a_method_without_a_plain_score_is_told_in_the_conformance_kit():
    with pytest.raises(v2drop.MethodError, match=r"'backwards' has no plain score.*PLAIN_SCORES"):
        MaskingTruth(tiny_llava(), v2drop.Schedule([(1, 0.5)]), LlavaAdapter(), [5], method="backwards")


def test_a_full_disk_is_told_without_a_traceback():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "v2drop_cli", "schedule"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(words, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Error: cannot write the output: No space left on device\n")
