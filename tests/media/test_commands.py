"""Every way to hand a picture to the commands shows models the same upright picture, and tells what is shown in part."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from support.media_files import frames
from support.picture_cases import encoded, exif, turned
from support.tiny_checkpoints import BUILDERS, save_tiny

from v2drop_batch.answerer import Answer, Answerer, Settings
from v2drop_batch.inputs import find_input
from v2drop_comparing.tasks import FileTask
from v2drop_lmms_eval.zoo_task import doc_to_visual
from v2drop_loading.checkpoints import find_adapter, find_checkpoint, load_processor
from v2drop_loading.schedules import Keep
from v2drop_zoo import CHECKPOINTS

EXAMPLE = np.asarray(Image.open(CHECKPOINTS / "llava" / "example.png").convert("RGB"))
WIDE = np.concatenate([EXAMPLE, frames(1, 144)[0]], 1)
NOTE = "animation.gif holds 3 frames: the first is shown"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each architecture, as --model takes it."""
    return {"llava": "llava"} | {name: save_tiny(name, tmp_path_factory.mktemp(name)) for name in BUILDERS}


@pytest.fixture
def twins(tmp_path):
    """Files of the same name and picture, one of them stored on its side."""
    paths = []
    for orientation in (1, 6):
        folder = tmp_path / str(orientation)
        folder.mkdir()
        data = encoded(turned(WIDE, orientation), "PNG", exif=exif(orientation))
        paths.append(folder / "picture.png")
        paths[-1].write_bytes(data)
    return paths


@pytest.fixture
def animation(tmp_path):
    file = io.BytesIO()
    shown = [Image.fromarray(EXAMPLE), *(Image.fromarray(frame) for frame in frames(2, 144))]
    shown[0].save(file, "GIF", save_all=True, append_images=shown[1:])
    (tmp_path / "animation.gif").write_bytes(file.getvalue())
    return tmp_path / "animation.gif"


@pytest.mark.parametrize("name", ["llava", *BUILDERS])
def test_tokens_and_overlays_are_those_of_the_upright_picture(models, command, twins, tmp_path, name):
    told, drawn = [], []
    for path in twins:
        overlay = tmp_path / f"overlay-{path.parent.name}.png"
        given = ["--image", path, "--prompt", "where is the 2 ?", "--overlay", overlay, "--max-new-tokens", "2"]
        code, said = command("run", "--model", models[name], "--json", *given)
        assert code == 0, said.err
        data = json.loads(said.out)
        told.append((data["images"][0]["vision_tokens"], data["dense"]["answer"], data["dropped"]["answer"]))
        drawn.append(np.asarray(Image.open(overlay)))
    assert told[0] == told[1]
    assert np.array_equal(*drawn)


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_pages_are_those_of_the_upright_picture(models, command, twins, tmp_path, name):
    pages = []
    for path in twins:
        page = tmp_path / f"page-{path.parent.name}.html"
        code, said = command(
            "show", "--model", models[name], "--image", path, "--prompt", "where is the 2 ?", "--out", page
        )
        assert code == 0, said.err
        pages.append(re.findall(r"data:image/[a-z]+;base64,[^\"')]+", page.read_text()))
    assert pages[0]
    assert pages[0] == pages[1]


def test_bulk_inference_answers_about_upright_pictures(tmp_path):
    for orientation in range(1, 9):
        (tmp_path / f"{orientation}.jpg").write_bytes(
            encoded(turned(EXAMPLE, orientation), "JPEG", exif=exif(orientation), quality=95)
        )
    [block] = find_input(tmp_path, "where is the 2 ?", 10).blocks
    answers = Answerer(Settings("llava", "v2drop", Keep(0.5), 0, 8), 4).answer(block.rows())
    assert [answer.answer for answer in answers if isinstance(answer, Answer)] == ["left"] * 8
    assert {answer.note for answer in answers} == {""}


def test_pictures_that_need_a_library_are_rejected_by_name_not_passed_over(tmp_path):
    (tmp_path / "photo.heic").write_bytes(bytes.fromhex("0000001c6674797068656963000000006d69663168656963") + bytes(99))
    [block] = find_input(tmp_path, "where is the 2 ?", 10).blocks
    [row] = Answerer(Settings("llava", "v2drop", Keep(0.5), 0, 8), 4).answer(block.rows())
    assert "pillow-heif" in row.reason


@pytest.mark.parametrize("name", ["llava", "qwen2_vl"])
def test_questions_of_a_file_are_about_upright_pictures(models, twins, tmp_path, name):
    checkpoint = find_checkpoint(str(models[name]))
    lines = [{"image": str(path), "question": "where is the 2 ?", "answers": ["left"]} for path in twins]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = FileTask(tmp_path / "q.jsonl", 9, find_adapter(checkpoint), load_processor(checkpoint), 8)
    one, other = (task.load([number]).inputs for number in (0, 1))
    assert torch.equal(one["pixel_values"], other["pixel_values"])
    assert torch.equal(one["input_ids"], other["input_ids"])


def test_lmms_evals_local_questions_are_about_upright_pictures(twins):
    one, other = (doc_to_visual({"image": str(path)})[0] for path in twins)
    assert one.tobytes() == other.tobytes() == WIDE.tobytes()


def test_run_tells_what_is_shown_in_part(command, animation):
    given = ["--image", animation, "--prompt", "where is the 2 ?", "--max-new-tokens", "4"]
    code, said = command("run", *given)
    assert code == 0
    assert re.search(rf"note    .*{NOTE}", said.out)
    data = json.loads(command("run", "--json", *given)[1].out)
    assert len(data["notes"]) == 1
    assert data["notes"][0].endswith(NOTE)
    assert data["dense"]["answer"] == "left"
    assert json.loads(command("run", "--json", "--max-new-tokens", "1")[1].out)["notes"] == []


def test_the_other_commands_tell_it_too(command, animation, tmp_path):
    code, said = command("show", "--image", animation, "--prompt", "where is the 2 ?", "--out", tmp_path / "page.html")
    assert code == 0
    assert f"{NOTE}\n" in said.err
    (tmp_path / "q.jsonl").write_text(
        json.dumps({"image": animation.name, "question": "where is the 2 ?", "answers": ["left"]})
    )
    code, said = command("compare-methods", "--method", "dense", "--task", tmp_path / "q.jsonl", "--questions", "1")
    assert code == 0
    assert NOTE in said.err
    [block] = find_input(tmp_path / "q.jsonl", None, 10).blocks
    [answer] = Answerer(Settings("llava", "v2drop", Keep(0.5), 0, 8), 4).answer(block.rows())
    assert answer.note.endswith(NOTE)
