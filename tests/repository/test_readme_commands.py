"""Every command line of README and documentation is run by a test, or marked as needing a GPU and a hub."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.readme_commands import HERE, command_lines, run_here

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = {  # who runs it, and the text by which one sees that
    "make demo": (".ci/run", "make demo"),
    "make test": (".ci/run", "make lint docs test "),
    "pip install -e '.[llava]'": ("Makefile", "$(INSTALL) '.[llava]'"),
    "pip install -e '.[eval]'": ("Makefile", "--editable '.[eval]'"),
    "make evaluate": ("tests/zoo/test_zoo.py", "def test_evaluate_prints_one_json_object"),
    "make train": ("tests/zoo/test_zoo.py", "def test_training_can_stop_and_go_on"),
    **dict.fromkeys(
        (
            "v2drop new-adapter vip-llava --model-type vipllava",
            "pip install -e 'v2drop-vip-llava[dev]'",
            "pytest -v v2drop-vip-llava",
        ),
        ("tests/cli/test_new_adapter.py", "def test_the_documented_walk_through"),
    ),
    **dict.fromkeys(
        (
            "v2drop batch --input questions.jsonl --out out --model llava --retain 0.333",
            'v2drop batch --input photos --prompt "which digit is at the top ?" --out out-photos --model llava --actors 2',
        ),
        ("tests/batch/test_batch_command.py", "readme_commands()"),
    ),
    **dict.fromkeys(
        (
            "v2drop eval --model llava --tasks zoo_llava --include-path out/tasks --retain 0.333",
            "python -m lmms_eval --model v2drop_llava_hf --model_args pretrained=llava,retained=0.333 "
            "--include_path out/tasks --tasks zoo_llava",
        ),
        ("tests/eval/test_readme.py", "zoo_llava"),
    ),
}


def test_every_line_is_run_by_a_test_or_marked():
    lines = command_lines()
    unknown = [line.text for line in lines if not line.marked and line.text not in {**HERE, **ELSEWHERE}]
    assert not unknown, f"add these to HERE or ELSEWHERE, or mark them in the text: {unknown}"
    gone = {*HERE, *ELSEWHERE} - {line.text for line in lines}
    assert not gone, f"these are no longer documented: {gone}"
    assert sum(line.marked for line in lines) >= 3


@pytest.mark.parametrize("line", ELSEWHERE)
def test_who_runs_a_line_is_there(line):
    file, text = ELSEWHERE[line]
    assert text in (ROOT / file).read_text()


@pytest.mark.parametrize("line", HERE)
def test_a_line_runs(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = run_here([HERE[line].get(word, word) for word in shlex.split(line)])
    assert code == 0
    assert printed.strip()
