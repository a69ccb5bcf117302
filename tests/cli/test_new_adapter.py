"""`v2drop new-adapter`, and the documentation's walk through it, start to finish."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoProcessor, VipLlavaConfig, VipLlavaForConditionalGeneration
from typer.testing import CliRunner

from v2drop.conformance import AdapterConformance
from v2drop_cli.app import app
from v2drop_zoo import CHECKPOINTS

ROOT = Path(__file__).parent.parent.parent
FILLED_IN = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)


def write(out, *arguments):
    return CliRunner().invoke(app, ["new-adapter", *arguments, "--out", str(out)])


def run_tests(folder, site):
    """pytest in a distribution's folder, with `site` holding what was installed of it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(folder)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--tb=line"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def distribution(tmp_path):
    folder = tmp_path / "v2drop-vip-llava"
    result = write(folder, "vip-llava", "--model-type", "vipllava")
    assert result.exit_code == 0, result.output
    assert "next: pip install" in result.output
    return folder


def test_a_new_adapters_tests_fail_only_where_something_is_left_to_fill_in(distribution, tmp_path):
    done = run_tests(distribution, tmp_path)
    failures = [line for line in done.stdout.splitlines() if line.startswith("E  ") or "Error: " in line]
    assert " passed" not in done.stdout.splitlines()[-1]
    assert failures
    assert all("NotImplementedError: fill in" in line for line in failures), done.stdout


@pytest.fixture
def installed(distribution, tmp_path):
    """The distribution, filled in as the documentation says, and the folder that it is installed to."""
    blocks = dict(FILLED_IN.findall((ROOT / "docs" / "adding-an-architecture.md").read_text()))
    assert set(blocks) == {"v2drop_vip_llava/adapter.py", "tests/test_conformance.py"}
    assert len(blocks["tests/test_conformance.py"].splitlines()) < 40
    for name, text in blocks.items():
        assert (distribution / name).exists()
        (distribution / name).write_text(text)
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, distribution]
    subprocess.run(install, check=True, capture_output=True)
    return distribution, site


@pytest.fixture(scope="module")
def vip_llava(tmp_path_factory):
    """A checkpoint of random weights around the zoo's LLaVA: its sizes, its processor."""
    folder = tmp_path_factory.mktemp("vip-llava")
    zoo = AutoConfig.from_pretrained(CHECKPOINTS / "llava")
    config = VipLlavaConfig(
        text_config=zoo.text_config,
        vision_config=zoo.vision_config,
        image_token_index=zoo.image_token_id,
        vision_feature_layers=[-1, -2],
    )
    VipLlavaForConditionalGeneration(config).save_pretrained(folder)
    AutoProcessor.from_pretrained(CHECKPOINTS / "llava").save_pretrained(folder)
    return folder


def test_the_commands_take_an_architecture_of_a_stranger(installed, vip_llava, tmp_path):
    picture, rows = CHECKPOINTS / "llava" / "example.png", tmp_path / "rows.jsonl"
    shutil.copy(picture, tmp_path)
    row = {"question": "where?", "image": "example.png"}
    rows.write_text(json.dumps(row) + "\n")
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps({**row, "answers": ["here"]}) + "\n")
    _, site = installed
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    question = ["--model", vip_llava, "--image", picture, "--prompt", "where?"]
    compared = ["--method", "v2drop", "--retain", "0.5", "--timed", "0", "--json"]
    commands = (
        ["run", *question, "--json"],
        ["show", *question, "--out", tmp_path / "page.html"],
        ["compare-methods", "--model", vip_llava, "--task", asked, *compared],
        ["bench", "--geometry", vip_llava / "config.json", "--tokens", "9", "--rounds", "2", "--json"],
        ["batch", "--model", vip_llava, "--input", rows, "--out", tmp_path / "answers"],
    )
    script = """import sys, json
from v2drop_cli.app import app
for words in json.loads(sys.argv[1]):
    app(words, standalone_mode=False)"""
    given = json.dumps([[str(word) for word in words] for words in commands])
    done = subprocess.run(
        [sys.executable, "-c", script, given], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").exists()
    assert list((tmp_path / "answers" / "answers").glob("*.parquet"))


def test_the_documented_walk_through_ends_with_every_promise_kept(installed):
    distribution, site = installed
    done = run_tests(distribution, site)
    assert done.returncode == 0, done.stdout
    promises = [name for name in dir(AdapterConformance) if name.startswith("test_")]
    assert done.stdout.count("PASSED") == len(promises)
    assert "test_truth_in_beam_search PASSED" in done.stdout


def test_what_was_written_is_well_formed(distribution):
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "E,F",
        "--line-length",
        "120",
        distribution,
    ]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for path in distribution.rglob("*.*"):
        assert "$" not in path.read_text()
    assert 'vipllava = "v2drop_vip_llava:VipLlavaAdapter"' in (distribution / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("model_type", "doubt"),
    [
        ("vipllava", ""),
        ("llava_onevision", "already served by v2drop_llava_onevision:LlavaOnevisionAdapter of v2drop"),
        ("gemma3", "sliding_attention"),
        ("florence2", "encoder-decoder"),
    ],
)
def test_other_architectures_can_be_started(tmp_path, model_type, doubt):
    result = write(tmp_path / "new", "some-model", "--model-type", model_type)
    assert result.exit_code == 0, result.output
    assert ("warning" in result.output) == bool(doubt)
    assert doubt in result.output
    compile((tmp_path / "new" / "v2drop_some_model" / "adapter.py").read_text(), "adapter.py", "exec")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x", "--model-type", "vipllavva"], "vipllava"),
        (["Some Model", "--model-type", "vipllava"], "name 'Some Model' holds 'S', ' ', 'M': use small letters"),
        (["7b", "--model-type", "vipllava"], "name '7b' begins with '7'"),
        (["vip--llava", "--model-type", "vipllava"], "name 'vip--llava' holds '--'"),
        (["vip-", "--model-type", "vipllava"], "name 'vip-' ends in '-'"),
        (["llava-next", "--model-type", "vipllava"], "a package v2drop_llava_next already exists"),
        (["vip-llava", "--model-type", "vipllava"], "already exists"),
    ],
)
def test_mistakes_are_told(tmp_path, arguments, told):
    (tmp_path / "keep.txt").write_text("do not overwrite this")
    result = write(tmp_path, *arguments)
    assert told in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["keep.txt"]
