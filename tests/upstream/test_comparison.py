"""The runner of `make upstream`, on a small checkout of our own: real models, and tests that know nothing of v2drop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILE = "tests/models/llava/test_modeling_llava.py"

HEADER = """
import random, time, unittest
import pytest, torch
from support.tiny_llava import IMAGE, batch, tiny_llava
from transformers import LlamaConfig, LlamaForCausalLM

global_rng = random.Random()

def inputs():
    return batch(torch.Generator().manual_seed(0), [1, 0, 2])

class LlavaTest(unittest.TestCase):
"""

PASSES = """
    @pytest.mark.generate
    def test_generate(self):
        tokens = tiny_llava().generate(**inputs(), max_new_tokens=3)
        self.assertEqual(tokens.shape[1], inputs()["input_ids"].shape[1] + 3)

    @pytest.mark.generate
    def test_text_only(self):
        config = LlamaConfig(vocab_size=9, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2)
        LlamaForCausalLM(config)(torch.ones(1, 2, dtype=torch.long))
"""

FAILS_ON_STOCK = """
    @pytest.mark.generate
    def test_out_of_date(self):
        tiny_llava().no_such_method()

    @pytest.mark.generate
    def test_slow(self):
        time.sleep(30)

    @unittest.skip("no")
    @pytest.mark.generate
    def test_skipped(self):
        pass
"""

FAILS_ATTACHED = """
    @pytest.mark.generate
    def test_model_has_no_hooks(self):
        self.assertFalse(tiny_llava().base_model._forward_pre_hooks)
"""

WHOLE_CACHE = """
    @pytest.mark.generate
    def test_every_layer_caches_the_whole_prompt(self):
        cache = tiny_llava()(**inputs()).past_key_values
        self.assertEqual({layer.keys.shape[2] for layer in cache.layers}, {inputs()["input_ids"].shape[1]})
"""

DRAWS = """
    @pytest.mark.generate
    def test_draws(self):
        with open("drawn.txt", "a") as file:
            print(random.random(), global_rng.random(), torch.rand(1).item(), file=file)
        tiny_llava()
"""


@pytest.fixture
def compare(tmp_path):
    def compare(*tests, options=()):
        """Return code and output of the runner on a checkout that holds these tests."""
        (tmp_path / FILE).parent.mkdir(parents=True)
        (tmp_path / FILE).write_text(HEADER + "".join(tests))
        command = [sys.executable, "-m", "upstream", str(tmp_path), *options]
        done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return compare


def counts(output):
    """The numbers of the last row of the table: tests, pass stock, pass attached, made a model, saw vision tokens."""
    return [int(cell) for cell in next(line for line in output.splitlines() if line.startswith("all ")).split()[1:]]


def test_what_passes_on_stock_models_passes_attached_and_the_rest_is_told(compare, tmp_path):
    code, output = compare(PASSES, FAILS_ON_STOCK, WHOLE_CACHE, DRAWS, options=["--seconds=5"])
    assert counts(output) == [7, 4, 4, 3, 2], output  # no adapter serves the text-only model; DRAWS shows it nothing
    assert f"fails on stock: {FILE}::LlavaTest::test_out_of_date: AttributeError" in output
    assert f"fails on stock: {FILE}::LlavaTest::test_slow: Failed: took longer than 5 s" in output
    assert "differs" not in output
    assert code == 0
    stock, attached = (tmp_path / "drawn.txt").read_text().splitlines()
    assert stock == attached


def test_a_test_that_passes_on_stock_models_alone_is_a_difference(compare):
    code, output = compare(PASSES, FAILS_ATTACHED, WHOLE_CACHE, options=["--keep=0.5"])
    assert counts(output) == [4, 4, 2, 3, 2], output
    assert f"differs: {FILE}::LlavaTest::test_model_has_no_hooks: AssertionError" in output
    assert f"differs: {FILE}::LlavaTest::test_every_layer_caches_the_whole_prompt: AssertionError" in output
    assert code == 1


def test_a_comparison_of_nothing_does_not_pass(compare):
    code, output = compare(PASSES, options=["-k", "text_only"])
    assert "nothing compared" in output
    assert code == 2


def test_a_folder_without_the_models_tests_is_told(compare):
    code, output = compare(PASSES, options=["--models", "bert"])
    assert "pass a checkout of transformers" in output
    assert code == 2
