"""The zoo's LLaVA: really trained, loadable by stock means, and dropping does what it says on real questions."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration, LlavaProcessor

import v2drop
from v2drop_zoo import CHECKPOINTS, zoo_models
from v2drop_zoo.baselines import baselines_as_metrics
from v2drop_zoo.digits import load_split
from v2drop_zoo.evaluate import fresh_questions, measure
from v2drop_zoo.packing import pack
from v2drop_zoo.questions import ANSWER_WORDS, ANSWERABLE, KINDS, QUESTION_WORDS, ask
from v2drop_zoo.recipes import RECIPES
from v2drop_zoo.scenes import draw_scene

FOLDER = CHECKPOINTS / "llava"
RECOMMENDED = v2drop.Schedule.from_dict(json.loads((FOLDER / "v2drop.json").read_text())["schedule"])


@pytest.fixture(scope="module")
def zoo():
    model = AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=torch.float32).eval()
    return model, AutoProcessor.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def questions():
    return list(fresh_questions(350, seed=11))


@pytest.fixture(scope="module")
def dense(zoo, questions):
    return measure(*zoo, questions, progress=False)


def test_its_weights_have_the_published_names():
    """transformers 5.0 loads no others, and says so only in a warning."""
    with safe_open(FOLDER / "model.safetensors", "pt") as weights:
        towers = [name for name in weights.keys() if name.startswith("vision_tower.")]  # noqa: SIM118
    assert towers
    assert all(name.startswith("vision_tower.vision_model.") for name in towers)


def test_it_is_stock_and_small(zoo):
    model, processor = zoo
    assert type(model) is LlavaForConditionalGeneration
    assert type(processor) is LlavaProcessor
    assert model.config.text_config.num_hidden_layers == 12
    assert (FOLDER / "model.safetensors").stat().st_size <= 8e6
    assert zoo_models() == ["llava"]


def test_dense_accuracy_meets_its_bar(dense):
    assert dense.accuracy >= 0.9


def test_a_third_of_the_tokens_keeps_most_of_the_accuracy(zoo, questions, dense):
    third = measure(*zoo, questions, RECOMMENDED, progress=False)
    assert third.retained == pytest.approx(1 / 3, abs=0.02)
    assert third.accuracy >= 0.94 * dense.accuracy


def test_keeping_everything_equals_dense(zoo, questions, dense):
    everything = v2drop.Schedule([(stage.layer, 1.0) for stage in RECOMMENDED.stages])
    assert (
        measure(*zoo, questions[:100], everything, progress=False).right
        == measure(*zoo, questions[:100], progress=False).right
    )


def test_keeping_the_smallest_variation_is_far_worse(zoo, questions, dense):
    with baselines_as_metrics():
        wrong = measure(*zoo, questions, RECOMMENDED, metric="smallest variation", progress=False)
    assert wrong.accuracy < dense.accuracy - 0.2


def test_splits_share_no_scan():
    scans = {split: {scan.tobytes() for group in load_split(split).values() for scan in group} for split in
             ("train", "validation", "test")}  # fmt: skip
    assert sum(map(len, scans.values())) == len(set.union(*scans.values()))
    assert len(scans["test"]) == 360


def test_every_word_is_known():
    rng = np.random.default_rng(0)
    known = {*QUESTION_WORDS, *ANSWER_WORDS}
    seen = set()
    for _ in range(300):
        question = ask(draw_scene(rng, "validation"), rng)
        seen.add(question.kind)
        assert {*question.text.split(), question.answer} <= known
    assert seen == set(KINDS)


def test_packed_questions_see_the_picture_and_themselves(zoo):
    """The logits of packed training equal those of the same question asked alone."""
    model, processor = zoo
    batch = pack(np.random.default_rng(3), "validation", processor.tokenizer, pictures=2, questions=3)
    with torch.no_grad():
        packed = model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixel_values,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
        ).logits
        for row in range(2):
            starts = (batch.position_ids[row] == 146).nonzero().flatten().tolist()
            for start, stop in pairwise(starts):
                columns = [*range(146), *range(start, stop)]
                alone = model(
                    input_ids=batch.input_ids[row, columns][None], pixel_values=batch.pixel_values[row : row + 1]
                ).logits
                torch.testing.assert_close(packed[row, start:stop], alone[0, 146:], atol=1e-4, rtol=1e-4)


def test_evaluate_prints_one_json_object():
    arguments = ["-m", "v2drop_zoo.evaluate", "llava", "--questions", "40", "--seed", "3", "--json", "--retain", "0.4"]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)
    assert data["n"] == 40
    assert data["by_question"].keys() == set(ANSWERABLE)
    assert data["retained"] == pytest.approx(0.4, abs=0.02)


def test_training_can_stop_and_go_on(tmp_path):
    """A run stopped in the middle ends with the weights of one that was not."""
    from dataclasses import replace

    from v2drop_zoo.train import Plan, work

    plan = Plan(vision_steps=2, young_steps=2, steps=2, vision_pictures=1, pictures=1, questions=2, processes=1)
    for folder, stops in (("once", [None]), ("twice", [3, None])):
        (tmp_path / folder).mkdir()
        for stop in stops:
            work(0, "llava", replace(plan, save_every=3), tmp_path / folder, stop_after=stop)
            (tmp_path / folder / "rendezvous").unlink(missing_ok=True)
    once, twice = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("once", "twice"))
    assert once == twice


def test_recipes_build_what_ships(zoo):
    model, processor = RECIPES["llava"]()
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in zoo[0].named_parameters()}
    assert processor.tokenizer.get_vocab() == zoo[1].tokenizer.get_vocab()
