"""Write the zoo's questions as lmms-eval tasks: ``python -m v2drop_lmms_eval.zoo_task --out DIR --questions 20``.

Each task is a folder with its yaml, its questions as JSON Lines, and its pictures or videos. `v2drop compare-methods
--task` reads the same file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from v2drop_loading.generation import is_right
from v2drop_media.images import open_image
from v2drop_terminal.errors import tell_mistakes
from v2drop_terminal.needs import require_zoo
from v2drop_zoo.clips import RATE, Clip, write_video
from v2drop_zoo.exam import LONGEST_ANSWER, fresh_questions
from v2drop_zoo.media import SHOWN, media_of

QUESTIONS = "questions.jsonl"
YAML = """\
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {questions}
test_split: test
output_type: generate_until
doc_to_visual: !function v2drop_lmms_eval.zoo_task.doc_to_visual
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answers[0]}}}}"
process_results: !function v2drop_lmms_eval.zoo_task.process_results
generation_kwargs:
  max_new_tokens: {longest}
  temperature: 0
  do_sample: false
metric_list:
  - metric: accuracy
    aggregation: mean
    higher_is_better: true
"""


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    """The media of a question: a picture, or the name of a video file."""
    if doc.get("video"):
        return [doc["video"]]
    return [open_image(doc["image"])]


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the answer is right, by the same rule as in `v2drop compare-methods`."""
    return {"accuracy": float(is_right(results[0], doc["answers"]))}


def task_names() -> dict[str, tuple[str, str]]:
    """The tasks by name, each with its zoo model and modality."""
    pairs = [(name, kind) for name in SHOWN for kind in ("image", "video") if media_of(name, kind)]
    return {f"zoo_{name}" + ("_video" if kind == "video" else ""): (name, kind) for name, kind in pairs}


def write_task(folder: Path, task: str, count: int, seed: int) -> Path:
    """Write one task's folder; returns the file of its questions."""
    name, modality = task_names()[task]
    folder = (folder / task).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (shown, question) in enumerate(fresh_questions(count, seed, media=media_of(name, modality))):
        media: dict[str, Any]
        if isinstance(shown, Clip):
            media = {"video": str(folder / f"{number:04}.mp4"), "fps": float(RATE)}
            write_video(shown.frames, Path(media["video"]))
        else:
            media = {"image": str(folder / f"{number:04}.png")}
            shown.image.save(media["image"])
        lines.append({"question": question.text, "answers": [question.answer], "kind": question.kind, **media})
    questions = folder / QUESTIONS
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / f"{task}.yaml").write_text(YAML.format(task=task, questions=questions, longest=LONGEST_ANSWER))
    return questions


def main(
    out: Annotated[Path, typer.Option(help="Folder for the tasks; pass it to lmms-eval as --include_path.")],
    questions: Annotated[int, typer.Option(min=1, help="Questions per task.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the questions.")] = 0,
) -> None:
    """Write the zoo's questions as lmms-eval tasks, one for each model and modality."""
    require_zoo(["image", "video"])
    for task in task_names():
        typer.echo(write_task(out, task, questions, seed))


if __name__ == "__main__":
    tell_mistakes(lambda: typer.run(main))
