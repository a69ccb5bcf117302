"""The models that lmms-eval finds here, asked in this process."""

from __future__ import annotations

import json

import pytest
from lmms_eval.api.instance import Instance
from lmms_eval.models import get_model
from PIL import Image

from v2drop_lmms_eval.zoo_task import write_task
from v2drop_zoo import CHECKPOINTS

QUESTIONS = 18  # more than a chunk


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    return [json.loads(line) for line in write_task(tmp_path_factory.mktemp("task"), "zoo_llava", QUESTIONS, 3).open()]


def ask(model, docs, unchanged=True, **options):
    """As lmms-eval does it, in a chat."""
    model.task_dict = {"zoo": {"test": docs}}

    def messages(doc):
        with Image.open(doc["image"]) as picture:
            shown = {"type": "image", "url": picture.convert("RGB")}
        return [{"role": "user", "content": [shown, {"type": "text", "text": doc["question"]}]}]

    def visuals(doc):
        return [messages(doc)[0]["content"][0]["url"]]

    requests = []
    for number, doc in enumerate(docs):
        asked = {"max_new_tokens": 3, "temperature": 0, "until": ["\n\n"], **options}
        arguments = (asked, visuals) if model.is_simple else (messages, asked)
        where = {"task": "zoo", "doc_id": number, "repeats": 1}
        requests.append(Instance("generate_until", (doc["question"], *arguments, number, "zoo", "test"), 0, where))
    before = [str(request.args) for request in requests]
    answers = model.generate_until(requests)
    after = [str(request.args) for request in requests]
    assert (after == before) is unchanged, "options that changed are another key in lmms-eval's cache"
    return [answer if isinstance(answer, str) else answer.text for answer in answers]


@pytest.mark.parametrize("name", ["v2drop_llava_hf", "v2drop_llava_next", "v2drop_qwen2_vl"])
def test_lmms_eval_finds_the_models_by_their_entry_point(name):
    assert get_model(name).__module__.startswith("v2drop_lmms_eval.")


def test_dense_answers_are_those_of_lmms_evals_own_model(docs):
    stock = get_model("llava_hf")(str(CHECKPOINTS / "llava"), device="cpu", device_map="cpu", dtype="float32")
    dense = get_model("v2drop_llava_hf")(pretrained="llava", method="dense")
    assert ask(dense, docs) == ask(stock, docs, unchanged=False)


def test_a_run_goes_on_where_it_stopped(docs, tmp_path):
    options = {"pretrained": "llava", "retained": 0.333, "journal": str(tmp_path)}
    first = ask(get_model("v2drop_llava_hf")(**options), docs[:5])
    again = get_model("v2drop_llava_hf")(**options)
    asked = []
    generate, again.model.generate = again.model.generate, lambda **inputs: asked.append(1) or generate(**inputs)
    answers = ask(again, docs)
    assert len(asked) == QUESTIONS - 5
    assert answers[:5] == first
    assert answers == ask(get_model("v2drop_llava_hf")(pretrained="llava", retained=0.333), docs)


def test_a_journal_of_other_settings_is_refused(docs, tmp_path, capsys):
    get_model("v2drop_llava_hf")(pretrained="llava", retained=0.333, journal=str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        get_model("v2drop_llava_hf")(pretrained="llava", retained=0.5, journal=str(tmp_path))
    assert stop.value.code == 2
    assert "schedule, stages was" in capsys.readouterr().err


def test_a_failure_that_lmms_eval_swallows_ends_the_process(docs):
    with pytest.raises(SystemExit) as stop:  # lmms-eval's llava_hf would go on with empty answers, and exit with 0
        ask(get_model("v2drop_llava_hf")(pretrained="llava"), docs, num_beams=0)
    assert stop.value.code == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"preset": "llava-1.5-192"}, "layer"),  # the zoo's models have 12 layers
        ({"preset": "llava-1.5-192", "retained": 0.3}, "contradict"),
        ({"method": "nonsense", "retained": 0.3}, "nonsense"),
        ({"pretrained": "no-such-model"}, "no-such-model"),
    ],
)
def test_what_v2drop_refuses_ends_the_process_with_a_message(options, told, capsys):
    with pytest.raises(SystemExit) as stop:
        get_model("v2drop_llava_hf")(**{"pretrained": "llava", **options})
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def test_qwen2_vl_answers_a_batch_as_it_answers_one_by_one(tmp_path):
    docs = [json.loads(line) for line in write_task(tmp_path, "zoo_qwen2_vl", 8, 3).open()]
    single, batch = (
        get_model("v2drop_qwen2_vl")(pretrained="qwen2_vl", retained=0.333, batch_size=size) for size in (1, 4)
    )
    assert ask(single, docs) == ask(batch, docs)


def test_qwen2_vl_gets_pictures_as_lmms_eval_compresses_them_unless_told_otherwise():
    picture = Image.new("RGB", (48, 48), (200, 30, 30))
    usual, lossless = (get_model("v2drop_qwen2_vl")(pretrained="qwen2_vl", lossless=flag) for flag in (False, True))
    assert usual._encode_image_data_url(picture).startswith("data:image/jpeg")
    assert lossless._encode_image_data_url(picture).startswith("data:image/png")
