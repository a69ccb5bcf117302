"""Checkpoints whose processor and model do not fit each other, and questions that a processor takes for something else."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image
from support.tiny_checkpoints import BUILDERS, TEMPLATE, save_tiny

from v2drop_loading.checkpoints import find_checkpoint, load_processor
from v2drop_loading.media import Media, as_inputs
from v2drop_zoo import CHECKPOINTS


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a model of each architecture."""
    made = {name: save_tiny(name, tmp_path_factory.mktemp(name)) for name in BUILDERS}
    return {**made, "llava": CHECKPOINTS / "llava"}


@pytest.fixture
def changed(models, tmp_path):
    """A copy of a model with other settings in one of its files, each by a path of keys."""

    def call(name, file, **settings):
        folder = tmp_path / name
        if not folder.exists():
            shutil.copytree(models[name], folder)
        data = json.loads((folder / file).read_text())
        for path, value in settings.items():
            *groups, key = path.split("__")
            part = data
            for group in groups:
                part = part[group]
            part[key] = value
        (folder / file).write_text(json.dumps(data))
        return folder

    return call


@pytest.fixture
def refusal(command):
    """What a command says that refuses: one line, exit code 2."""

    def call(*arguments):
        code, said = command(*arguments)
        assert (code, said.out) == (2, "")
        told = said.err.strip()  # an empty line where a progress bar was
        assert told.startswith("Error: ")
        assert "\n" not in told
        return told

    return call


PROCESSOR, CONFIG = "processor_config.json", "config.json"
STRATEGY = "vision_feature_select_strategy"
FAULTS = {
    "llava, no patch size": ("llava", PROCESSOR, {"patch_size": None}, ["patch_size None", "makes 144", "patch_size 12"]),
    "llava, another patch size": ("llava", PROCESSOR, {"patch_size": 6}, ["writes 576", "patch_size 6", "makes 144"]),
    "llava, one token too few": (
        "llava", PROCESSOR, {"num_additional_image_tokens": 0},
        ["writes 143", "num_additional_image_tokens 0", "makes 144", "1 more of a clip_vision_model"],
    ),
    "llava, no number of tokens": (
        "llava", PROCESSOR, {"num_additional_image_tokens": None}, ["num_additional_image_tokens None", "makes 144"],
    ),
    "llava, the config is full": ("llava", CONFIG, {STRATEGY: "full"}, ["writes 144", "'default'", "makes 145", "'full'"]),
    "llava, the processor is full": ("llava", PROCESSOR, {STRATEGY: "full"}, ["writes 145", "'full'", "makes 144"]),
    "llava, another size": (
        "llava", PROCESSOR, {"image_processor__crop_size": {"height": 96, "width": 96}},
        ["96 pixels high", "image_processor.crop_size", "takes 144", "vision_config.image_size"],
    ),
    "llava_next, no patch size": ("llava_next", PROCESSOR, {"patch_size": None}, ["patch_size None", "makes 16"]),
    "llava_next, full": ("llava_next", CONFIG, {STRATEGY: "full"}, ["writes 16", "makes 17"]),
    "llava_onevision, another count": (
        "llava_onevision", PROCESSOR, {"num_image_tokens": 25}, ["num_image_tokens 25", "makes 16"],
    ),
    "qwen2_vl, another merge": (
        "qwen2_vl", PROCESSOR, {"image_processor__merge_size": 1},
        ["merge_size 1", "image_processor.merge_size", "takes 2", "vision_config.spatial_merge_size"],
    ),
    "qwen2_vl, another number of frames": (
        "qwen2_vl", PROCESSOR, {"video_processor__temporal_patch_size": 1},
        ["temporal_patch_size 1 (video_processor.temporal_patch_size)", "takes 2 (vision_config.temporal_patch_size)"],
    ),
    "qwen2_5_vl, another patch": (
        "qwen2_5_vl", CONFIG, {"vision_config__patch_size": 14}, ["patch_size 6", "takes 14 (vision_config.patch_size)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_processor_that_does_not_fit_is_told_with_both_numbers(changed, refusal, fault):
    name, file, settings, told = FAULTS[fault]
    said = refusal("run", "--model", changed(name, file, **settings))
    for words in (*told, "config.json", "processor_config.json"):
        assert words in said


@pytest.mark.parametrize("given", [["show"], ["compare-methods", "--questions", "2", "--method", "dense"]])
def test_every_command_tells(changed, refusal, tmp_path, given):
    folder = changed("llava", PROCESSOR, patch_size=None)
    (tmp_path / "q.jsonl").write_text(
        json.dumps({"image": str(folder / "example.png"), "question": "where is the 2 ?", "answers": ["left"]})
    )
    task = ["--task", tmp_path / "q.jsonl"] if given[0] == "compare-methods" else ["--out", tmp_path / "page.html"]
    assert "patch_size None" in refusal(*given, "--model", folder, *task)


@pytest.mark.parametrize("file", [CONFIG, PROCESSOR])
def test_settings_that_differ_but_come_to_the_same_are_taken(changed, command, file):
    """No class token in the count, none taken away: 144 either way."""
    settings = {"num_additional_image_tokens": 0, STRATEGY: "full"}
    folder = changed("llava", file, **(settings if file == PROCESSOR else {}))
    code, said = command("run", "--model", folder, "--max-new-tokens", "1", "--json")
    assert code == 0, said.err


@pytest.mark.parametrize(
    "settings",
    [
        {"max_length": 30},
        {"model_max_length": 30},
        {"max_length": 30, "truncation": True},
        {"max_length": 300, "padding": "max_length"},
    ],
)
@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_a_longest_length_of_the_tokenizer_cuts_nothing(changed, command, name, settings):
    folder = changed(name, "tokenizer_config.json", **settings)
    code, said = command("run", "--model", folder, "--json", "--max-new-tokens", "4")
    assert code == 0, said.err
    assert json.loads(said.out)["images"][0]["vision_tokens"] == {"llava": 144, "qwen2_vl": 64}[name]


def test_truncation_in_the_tokenizers_own_file_cuts_nothing(changed, command):
    truncation = {"direction": "Right", "max_length": 30, "strategy": "LongestFirst", "stride": 0}
    folder = changed("llava", "tokenizer.json", truncation=truncation)
    code, said = command("run", "--model", folder, "--json", "--max-new-tokens", "4")
    assert code == 0, said.err
    assert json.loads(said.out)["dense"]["answer"] == "left"


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("llava", "<image>"),
        ("llava_next", "<image>"),
        ("llava_onevision", "<video>"),
        ("qwen2_vl", "<image>"),
        ("qwen2_5_vl", "<video>"),
    ],
)
def test_a_question_that_quotes_a_placeholder_is_refused_by_name(models, refusal, name, quoted):
    said = refusal("run", "--model", models[name], "--prompt", f"what does {quoted} mean ?")
    assert f"the question quotes {quoted}, which stands for" in said


def test_a_word_that_looks_like_a_placeholder_is_asked(models, command):
    code, _ = command("run", "--model", models["llava"], "--prompt", "what does <img> or image mean ?", "--json")
    assert code == 0


@pytest.mark.parametrize("file", ["tokenizer.json", PROCESSOR, CONFIG, "model.safetensors"])
@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "null"])
def test_damaged_files_of_a_model_are_told(models, refusal, tmp_path, file, content):
    shutil.copytree(models["llava"], tmp_path / "llava")
    (tmp_path / "llava" / file).write_text(content)
    assert "llava" in refusal("run", "--model", tmp_path / "llava", "--max-new-tokens", "1")


def test_a_chat_template_that_refuses_is_told(changed, refusal):
    folder = changed("llava", CONFIG)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    assert "roles must alternate" in refusal("run", "--model", folder)


def test_a_folder_without_a_processor_is_told(changed, refusal):
    folder = changed("llava", CONFIG)
    (folder / PROCESSOR).unlink()
    assert "processor" in refusal("run", "--model", folder)


def test_a_begin_token_that_the_template_writes_is_not_added_again(changed):
    """As stock pipelines do it."""
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    adding = {"type": "TemplateProcessing", "single": [begin, text], "pair": [begin, text], "special_tokens": special}
    folder = changed("llava_next", "tokenizer.json", post_processor=adding)
    media = Media([Image.new("RGB", (48, 48))])
    for template in (TEMPLATE, "<s>" + TEMPLATE):
        (folder / "chat_template.jinja").write_text(template)
        processor = load_processor(find_checkpoint(str(folder)))
        [ids] = as_inputs(processor, media, "what is it ?")["input_ids"].tolist()
        assert ids.count(1) == 1
