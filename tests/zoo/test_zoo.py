"""The zoo: really trained, loadable by stock means, and dropping does what it says on real questions."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

import v2drop
from v2drop_zoo import CHECKPOINTS, zoo_models
from v2drop_zoo.clips import FRAMES, SIDE, WAYS, compressed, draw_clip
from v2drop_zoo.digits import load_split
from v2drop_zoo.exam import fresh_questions, load_inputs
from v2drop_zoo.questions import ANSWERABLE, ask
from v2drop_zoo_training.evaluate import Result, answer_batch, measure
from v2drop_zoo_training.question_packing import pack
from v2drop_zoo_training.recipes import RECIPES
from v2drop_zoo_training.smallest_variation import SmallestVariation
from v2drop_zoo_training.train import work

STOCK = {
    "llava": ("LlavaForConditionalGeneration", "LlavaProcessor"),
    "llava_control": ("LlavaForConditionalGeneration", "LlavaProcessor"),
    "llava_next": ("LlavaNextForConditionalGeneration", "LlavaNextProcessor"),
    "qwen2_vl": ("Qwen2VLForConditionalGeneration", "Qwen2VLProcessor"),
}
EXAMS = {  # model, modality, how many questions, dense accuracy at least
    "llava": ("llava", "image", 240, 0.9),
    "llava_next": ("llava_next", "image", 100, 0.85),
    "qwen2_vl": ("qwen2_vl", "image", 100, 0.85),
    "qwen2_vl-video": ("qwen2_vl", "video", 48, 0.8),
}


@dataclass
class Exam:
    """A zoo model with its questions, its recommended schedule, and how it does without dropping."""

    name: str
    modality: str
    model: Any
    processor: Any
    recommended: v2drop.Schedule
    questions: list
    bar: float
    dense: Result

    def measure(self, count: int | None = None, schedule: v2drop.Schedule | None = None, method="v2drop") -> Result:
        return measure(self.model, self.processor, self.questions[:count], schedule, method, progress=False)


def load(name: str) -> tuple[Any, Any]:
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / name, dtype=torch.float32).eval()
    return model, AutoProcessor.from_pretrained(CHECKPOINTS / name)


def recommendation(name: str) -> dict[str, Any]:
    return json.loads((CHECKPOINTS / name / "v2drop.json").read_text())


@pytest.fixture(scope="module", params=EXAMS)
def exam(request):
    name, modality, count, bar = EXAMS[request.param]
    model, processor = load(name)
    schedule = v2drop.Schedule.from_dict(recommendation(name)["schedule"])
    questions = list(fresh_questions(count, seed=11, media=RECIPES[name].of(modality)))
    dense = measure(model, processor, questions, progress=False)
    return Exam(name, modality, model, processor, schedule, questions, bar, dense)


def test_every_recipe_ships():
    assert zoo_models() == sorted(RECIPES) == sorted(STOCK)


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_its_weights_have_the_published_names(name):
    """transformers 5.0 loads no others, and says so only in a warning."""
    with safe_open(CHECKPOINTS / name / "model.safetensors", "pt") as weights:
        towers = [name for name in weights.keys() if name.startswith("vision_tower.")]  # noqa: SIM118
    assert towers
    assert all(name.startswith("vision_tower.vision_model.") for name in towers)


@pytest.mark.parametrize("name", STOCK)
def test_it_is_stock_small_and_complete(name):
    model, found = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / name, output_loading_info=True)
    assert not any(found.values())
    assert (type(model), type(AutoProcessor.from_pretrained(CHECKPOINTS / name))) == tuple(
        getattr(transformers, kind) for kind in STOCK[name]
    )
    assert model.config.text_config.num_hidden_layers == 12
    assert (CHECKPOINTS / name / "model.safetensors").stat().st_size <= 8e6


def test_dense_accuracy_meets_its_bar(exam):
    assert exam.dense.accuracy >= exam.bar


def test_a_third_of_the_tokens_keeps_most_of_the_accuracy(exam):
    third = exam.measure(schedule=exam.recommended)
    assert third.retained == pytest.approx(1 / 3, abs=0.02)
    assert third.accuracy >= {"llava": 0.94}.get(exam.name, 0.8) * exam.dense.accuracy


def test_keeping_everything_equals_dense(exam):
    everything = v2drop.Schedule([(stage.layer, 1.0) for stage in exam.recommended.stages])
    assert exam.measure(30, everything).right == exam.measure(30).right


@pytest.mark.parametrize("exam", [name for name in EXAMS if "video" not in name], indirect=True)
def test_keeping_the_smallest_variation_is_far_worse(exam):
    wrong = exam.measure(schedule=exam.recommended, method=SmallestVariation())
    assert wrong.accuracy < exam.dense.accuracy - 0.2


def test_on_the_control_the_largest_variation_is_the_wrong_guide():
    """It was not taught to leave its background alone: the zoo has a model on which V2Drop loses."""
    model, processor = load("llava_control")
    schedule = v2drop.Schedule.from_dict(recommendation("llava_control")["schedule"])
    questions = list(fresh_questions(60, seed=11))
    dense, largest, smallest = (
        measure(model, processor, questions, *choice, progress=False).accuracy
        for choice in ((), (schedule, "v2drop"), (schedule, SmallestVariation()))
    )
    assert dense >= 0.9
    assert smallest >= 0.85 * dense
    assert largest < 0.5 * dense


def test_splits_share_no_scan():
    scans = {split: {scan.tobytes() for group in load_split(split).values() for scan in group} for split in
             ("train", "validation", "test")}  # fmt: skip
    assert sum(map(len, scans.values())) == len(set.union(*scans.values()))
    assert len(scans["test"]) == 360


@pytest.mark.parametrize("name", RECIPES)
def test_every_word_is_known(name):
    rng = np.random.default_rng(0)
    for medium in RECIPES[name].media:
        seen = set()
        for _ in range(100):
            question = ask(medium.draw(rng, "validation"), rng, kinds=medium.taught)
            seen.add(question.kind)
            assert {*question.text.split(), question.answer} <= set(RECIPES[name].words)
        assert seen == set(medium.taught) >= set(medium.asked)


@pytest.mark.parametrize(("name", "medium"), [(name, medium) for name, recipe in RECIPES.items() for medium in
                         dict.fromkeys(recipe.media)], ids=lambda value: getattr(value, "modality", value))  # fmt: skip
def test_packed_questions_see_the_picture_and_themselves(name, medium):
    """The logits of packed training equal those of the same question asked alone, and the labels cover the tokens."""
    model, processor = load(name)
    batch = pack(np.random.default_rng(3), "validation", model, processor, medium, 2, 3, RECIPES[name].places)
    end = batch.vision.stop + (name == "qwen2_vl")
    assert batch.patch_labels.shape[1] == batch.vision.stop - batch.vision.start
    positions = batch.position_ids if batch.position_ids.ndim == 2 else batch.position_ids[0]
    patches = {key: len(value) // 2 for key, value in batch.pixels.items()}

    def logits(row, columns, attention_mask=None):
        types = None
        if name == "qwen2_vl":
            media = (batch.input_ids == model.config.image_token_id) + 2 * (
                batch.input_ids == model.config.video_token_id
            )
            types = {"mm_token_type_ids": media[row : row + 1, columns]}
        return model(
            input_ids=batch.input_ids[row : row + 1, columns],
            position_ids=batch.position_ids[..., row : row + 1, columns],
            attention_mask=attention_mask,
            **{key: value[row * patches[key] : (row + 1) * patches[key]] for key, value in batch.pixels.items()},
            **(types or {}),
        ).logits[0]

    with torch.no_grad():
        for row in range(2):
            packed = logits(row, [*range(batch.input_ids.shape[1])], batch.attention_mask[row : row + 1])
            starts = (positions[row, end:] == positions[row, end]).nonzero().flatten() + end
            for start, stop in pairwise(starts.tolist()):
                alone = logits(row, [*range(end), *range(start, stop)])
                torch.testing.assert_close(packed[start:stop], alone[end:], atol=2e-4, rtol=1e-4)


def test_a_clip_shows_what_is_said_of_it():
    rng = np.random.default_rng(0)
    for _ in range(20):
        clip = draw_clip(rng, "validation")
        assert clip.frames.shape == (FRAMES, SIDE, SIDE, 3)
        for index, way in enumerate(clip.ways):
            shown = [frame for frame in range(FRAMES) if (clip.owner[frame] == index).any()]
            assert shown == list(range(2 * index, 6 + 2 * index))
            first, last = (np.argwhere(clip.owner[frame] == index).mean(0) for frame in (shown[0], shown[-1]))
            np.testing.assert_allclose(last - first, 48 * np.array(WAYS[way]), atol=1e-6)
        assert np.abs(compressed(clip.frames).astype(float) - clip.frames).mean() < 12


def test_the_examples_are_answered_as_the_recommendation_says():
    for name in zoo_models():
        model, processor = load(name)
        said = recommendation(name)
        asked = [({"type": "image", "image": Image.open(CHECKPOINTS / name / said["image"])}, said)]
        if "video" in said:
            video, file = said["video"], str(CHECKPOINTS / name / said["video"]["file"])
            asked.append(({"type": "video", "video": file, "fps": video["fps"]}, video))
        for content, one in asked:
            chat = [{"role": "user", "content": [content, {"type": "text", "text": one["prompt"]}]}]
            inputs = load_inputs(processor, [chat])
            for schedule in (None, v2drop.Schedule.from_dict(said["schedule"])):
                with nullcontext() if schedule is None else v2drop.attach(model, schedule):
                    tokens = model.generate(**inputs, max_new_tokens=3, do_sample=False)[0]
                answer = processor.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True)
                assert answer == one["answer"]


def test_a_batch_of_several_sizes_is_answered_as_one_by_one():
    for name in ("llava_next", "qwen2_vl"):
        model, processor = load(name)
        questions = list(fresh_questions(6, seed=5, media=RECIPES[name].of("image")))
        assert answer_batch(model, processor, questions) == [answer_batch(model, processor, [q])[0] for q in questions]


def test_evaluate_prints_one_json_object():
    arguments = [
        "-m",
        "v2drop_zoo_training.evaluate",
        "llava",
        "--questions",
        "40",
        "--seed",
        "3",
        "--json",
        "--retain",
        "0.4",
    ]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)
    assert data["n"] == 40
    assert data["by_question"].keys() == set(ANSWERABLE)
    assert data["retained"] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_training_can_stop_and_go_on(name, tmp_path, monkeypatch):
    """A run stopped in the middle ends with the weights of one that was not.

    On pictures alone: FFmpeg's scaler rounds by where its buffers lie in memory, so that videos differ from run to run.
    """
    monkeypatch.setitem(RECIPES, name, replace(RECIPES[name], media=RECIPES[name].of("image")))
    steps = {"vision_steps": 2, "young_steps": 2, "steps": 2, "vision_pictures": 1, "pictures": 1, "questions": 2}
    steps |= {"young_steps": 0} if RECIPES[name].parent else {}
    plan = replace(RECIPES[name].plan, **steps, processes=1, save_every=3)
    for folder, stops in (("once", [None]), ("twice", [3, None])):
        (tmp_path / folder).mkdir()
        for stop in stops:
            work(0, name, plan, tmp_path / folder, stop_after=stop)
            (tmp_path / folder / "rendezvous").unlink(missing_ok=True)
    once, twice = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("once", "twice"))
    assert once == twice


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_build_what_ships(name):
    (model, processor), (shipped, theirs) = RECIPES[name].build(), load(name)
    assert {n: p.shape for n, p in model.named_parameters()} == {n: p.shape for n, p in shipped.named_parameters()}
    assert processor.tokenizer.get_vocab() == theirs.tokenizer.get_vocab()
    assert processor.chat_template == theirs.chat_template
