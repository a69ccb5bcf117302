"""`v2drop show`: a page with pictures of what was dropped, layer by layer, and with plots of comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from .answers import generate_answers
from .checkpoints import (
    Checkpoint,
    find_adapter,
    find_checkpoint,
    load_depth,
    load_network,
    load_processor,
)
from .compare_options import check_page
from .errors import CommandError
from .media import as_inputs, read_media
from .options import Preset, Retain, ScheduleFile, Stages
from .overlay import as_shown
from .page import comparison_section, example_section, write_page
from .panels import make_panels
from .question import DEFAULT_FPS, ExampleKind, Question, choose_question
from .schedules import Keep, choose_schedule, read_keep
from .traces import dense_variation, trace


def show(
    model: Annotated[
        str | None, typer.Option(help="A zoo model, a folder, or an id on the hub; llava unless --comparison is given.")
    ] = None,
    image: Annotated[list[Path] | None, typer.Option(help="A picture; repeat it for several.")] = None,
    video: Annotated[Path | None, typer.Option(help="A video, for models that take them.")] = None,
    fps: Annotated[
        float | None, typer.Option(help=f"Frames a second; by default the example's, else {DEFAULT_FPS:g}.")
    ] = None,
    example: Annotated[
        ExampleKind | None, typer.Option(help="Ask the model's own example of an image or video.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The question; by default the model's example.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="A method; repeat it for several. By default v2drop.")
    ] = None,
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    comparison: Annotated[
        list[Path] | None,
        typer.Option(help="Results of compare-methods or compare-models, as --json and --out write them; repeatable."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    out: Annotated[Path, typer.Option(help="The page to write: one HTML file, which needs no network.")] = Path(
        "page.html"
    ),
) -> None:
    """Write a page that shows which tokens are dropped at each layer, and how much they vary.

    Methods side by side: v2drop show --method v2drop --method fastv --out page.html
    """
    check_page(out)
    compared = [_read_comparison(path) for path in comparison or []]
    sections = []
    keep = read_keep(preset, retain, stages, schedule)
    asked = keep != Keep() or any(value is not None for value in (image, video, fps, example, prompt, method))
    if model is not None or asked or not compared:
        checkpoint = find_checkpoint(model or "llava")
        question = choose_question(checkpoint, image or [], video, fps, prompt, example)
        sections.append(_example(checkpoint, question, method or ["v2drop"], keep, max_new_tokens))
    write_page([*sections, *compared], out)
    Console().print(f"page: {out}", highlight=False, soft_wrap=True, markup=False)


def _read_comparison(path: Path) -> str:
    try:
        return comparison_section(json.loads(path.read_text()))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"{path} does not hold results of compare-methods or compare-models: {error!r}") from error


def _example(
    checkpoint: Checkpoint,
    question: Question,
    methods: Sequence[str],
    keep: Keep,
    max_new_tokens: int,
) -> str:
    adapter, depth = find_adapter(checkpoint), load_depth(checkpoint)
    schedules = {method: choose_schedule(method, depth, keep, checkpoint.schedule) for method in methods}
    processor = load_processor(checkpoint)
    media = read_media(question, adapter, processor)
    inputs = as_inputs(processor, media, question.prompt)
    network = load_network(checkpoint, "cuda" if torch.cuda.is_available() else "cpu")
    metadata = inputs.pop("video_metadata", None)
    inputs = inputs.to(network.device)

    traces = [
        trace(network, processor, inputs, method, schedule, max_new_tokens) for method, schedule in schedules.items()
    ]
    [answer] = generate_answers(network, processor, inputs, max_new_tokens)
    layout = adapter.layout(network, {**inputs, "video_metadata": metadata})
    variation = dense_variation(network, adapter, inputs, layout.position)
    shown = as_shown(media, layout, inputs.get("pixel_values"), processor)
    panels = make_panels(shown, [file.name for file in question.files], layout)
    return example_section(checkpoint.name, question, answer.strip(), layout, panels, variation, traces)
