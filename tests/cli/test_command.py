"""The `v2drop` command, run as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.tiny_llava import tiny_llava

import v2drop
from v2drop.installing import pip_install
from v2drop_cli.run_output import in_ms
from v2drop_measuring.rounds import clear_ratio
from v2drop_measuring.timing import suitable_threads
from v2drop_zoo import CHECKPOINTS

EXAMPLE = json.loads((CHECKPOINTS / "llava" / "v2drop.json").read_text())


def process(*arguments, cwd=None):
    words = [sys.executable, "-m", "v2drop_cli", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def here(command):
    """What a command prints that is run in this process."""

    def call(*arguments):
        code, printed = command(*arguments)
        assert code == 0
        return printed.out

    return call


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """`v2drop run --json --overlay FILE` without further options, in an empty folder."""
    folder = tmp_path_factory.mktemp("run")
    done = process("run", "--json", "--overlay", "overlay.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


def test_the_bundled_question_is_answered_right_dense_and_dropped(answered):
    data, _ = answered
    assert data["dense"]["answer"] == data["dropped"]["answer"] == EXAMPLE["answer"]


def test_json_holds_the_documented_fields(answered):
    data, _ = answered
    side = {"answer", "prefill_seconds", "decode_seconds", "kv_bytes", "flops"}
    asked = {"model", "image", "images", "video", "prompt", "notes", "method", "schedule"}
    assert data.keys() == asked | {"times", "versions", "dense", "dropped"}
    assert data["versions"]["v2drop"] == v2drop.__version__
    assert data["images"] == [{"file": data["image"], "vision_tokens": 144}]
    assert data["video"] is None
    assert data["dense"].keys() == side
    assert data["dropped"].keys() == side | {"retained", "tokens_per_layer"}
    schedule = v2drop.Schedule.from_dict(EXAMPLE["schedule"])
    assert (data["method"], data["schedule"]) == ("v2drop", schedule.to_dict())
    assert data["dropped"]["tokens_per_layer"] == list(schedule.tokens_per_layer(12, 144))
    assert data["dropped"]["retained"] == pytest.approx(schedule.retained(12), abs=0.01)
    assert data["dropped"]["kv_bytes"] < data["dense"]["kv_bytes"]
    assert data["dropped"]["flops"] < data["dense"]["flops"]


def test_times_are_medians_of_rounds_with_their_spread(answered):
    """The right answer is one token and its end: a step of it alone would say nothing."""
    data, _ = answered
    times = data["times"]
    assert (times["threads"], times["decode_steps"]) == (1, 8)
    assert 3 <= times["rounds"] <= 15
    for part in ("prefill", "decode"):
        for found in times[part].values():
            low, high = found["quartiles"]
            assert 0 < low <= found["median"] <= high
        for way in ("dense", "dropped"):
            assert data[way][f"{part}_seconds"] == times[part][way]["median"]


def test_a_ratio_that_its_spread_hides_is_not_shown():
    assert clear_ratio(0.62, [0.58, 0.66]) == "0.62"
    assert clear_ratio(1.0, [0.04, 26.87]) == clear_ratio(0.03, None) == "unclear"
    assert in_ms({"median": 0.0123, "quartiles": [0.0119, 0.013]}) == "12.3 (11.9-13.0)"


def test_a_tiny_model_runs_on_one_thread_and_leaves_torchs_number_as_it_was():
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suitable_threads(tiny_llava()) as threads:
            assert (threads, torch.get_num_threads()) == (1, 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)


def test_the_overlay_shows_every_stage(answered):
    _, folder = answered
    overlay = Image.open(folder / "overlay.png")
    stages = len(EXAMPLE["schedule"]["stages"])
    assert overlay.width == (stages + 1) * 288 + stages * 8
    assert overlay.height > 288
    first, last = overlay.crop((0, 22, 288, 310)), overlay.crop((overlay.width - 288, 22, overlay.width, 310))
    brightness = [sum(panel.convert("L").histogram()[n] * n for n in range(256)) for panel in (first, last)]
    assert brightness[1] < 0.6 * brightness[0]


def test_people_get_a_table(here):
    printed = here("run", "--retain", "0.5")
    assert re.search(r"image   .*example\.png \(144 vision tokens\)", printed)
    for row in ("answer", "prefill, ms", "decode, ms", "tokens per layer", "retained", "KV cache"):
        assert row in printed


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["run", "--image", "nowhere.png"], "nowhere.png"),
        (["run", "--image", __file__], "as an image"),
        (["run", "--model", "nowhere"], "'nowhere'.*llava"),
        (["run", "--model", str(Path(__file__).parent)], "config.json"),
        (["run", "--preset", "llava-1.5-192", "--retain", "0.3"], "contradict"),
        (["run", "--preset", "llava-1.5-192"], "layer 17.*12 decoder layers"),
        (["run", "--preset", "best"], "best.*llava-1.5-192"),
        (["run", "--retain", "0"], "retained=0"),
        (["run", "--overlay", "/nowhere/at/all.png"], "/nowhere/at"),
        (["run", "--overlay", "overlay.xyz"], "name an image file"),
        (["run", "--prompt", "what is <image> ?"], "the question quotes <image>"),
        (["schedule", "--retain", "0.01"], "at least"),
    ],
)
def test_mistakes_are_told_without_a_traceback(arguments, quoted, command):
    code, printed = command(*arguments)
    assert code == 2
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert re.search(quoted, printed.err), printed.err


def test_the_version_is_printed(here):
    assert here("--version") == f"{v2drop.__version__}\n"


def test_a_mistake_ends_the_process_with_2():
    done = process("run", "--image", "nowhere.png")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_folder_without_an_example_asks_for_one(tmp_path, command):
    tiny_llava().save_pretrained(tmp_path)
    _, printed = command("run", "--model", tmp_path)
    assert "--image and --prompt" in printed.err


def test_missing_weights_are_an_error(tmp_path):
    from safetensors.torch import load_file, save_file

    from v2drop_loading.checkpoints import find_checkpoint, load_model
    from v2drop_terminal.errors import CommandError

    shutil.copytree(CHECKPOINTS / "llava", tmp_path / "llava")
    weights = load_file(tmp_path / "llava" / "model.safetensors")
    weights.pop("vision_tower.vision_model.embeddings.class_embedding")
    save_file(weights, tmp_path / "llava" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CommandError, match=r"1 weights are missing.*class_embedding"):
        load_model(find_checkpoint(str(tmp_path / "llava")), "cpu")


def test_schedule_prints_stages_and_tokens(here):
    data = json.loads(here("schedule", "--retain", "0.4", "--json"))
    recommended = v2drop.Schedule.from_dict(EXAMPLE["schedule"])
    assert [layer for layer, _ in data["stages"]] == [stage.layer for stage in recommended.stages]
    assert data["retained"] == pytest.approx(0.4)
    assert len(data["tokens_per_layer"]) == 12
    assert sum(data["tokens_per_layer"]) / 12 / 144 == pytest.approx(0.4, abs=0.01)


def test_adapters_are_listed(here):
    rows = json.loads(here("adapters", "--json"))
    assert {"model_type": "llava", "adapter": "v2drop_llava:LlavaAdapter"}.items() <= rows[0].items()


def test_the_quick_starts_python_runs():
    page = (Path(__file__).parent.parent.parent / "docs" / "quick-start.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    example = next(block for block in blocks if "v2drop_zoo" in block)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "assistant: " + EXAMPLE["answer"] in done.stdout
    assert EXAMPLE["prompt"] in example
    assert "retained" in done.stdout


def test_a_plain_install_says_what_the_command_lacks():
    script = "import sys; sys.modules['typer'] = None; sys.argv = ['v2drop'];import v2drop_cli; v2drop_cli.main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert pip_install("v2drop[cli]") in done.stderr
    assert "Traceback" not in done.stderr
