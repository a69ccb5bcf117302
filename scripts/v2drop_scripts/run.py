"""`v2drop run`: ask a model about pictures or a video, dense and with dropping, and show what that saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image
from rich.console import Console

from .checkpoints import find_adapter, find_checkpoint, load_depth, load_network, load_processor
from .compare import compare
from .errors import CommandError
from .media import as_inputs, read_media
from .options import METHODS, Preset, Retain, ScheduleFile, Stages
from .overlay import as_shown, draw_overlay
from .question import DEFAULT_FPS, ExampleKind, choose_question
from .schedules import choose_schedule, read_keep
from .show import as_json as to_json
from .show import print_result


def run(
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")] = "llava",
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture; repeat it for several. By default the model's example.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="A video, for models that take them; the chat shows it after the pictures.")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help=f"Frames a second to look at; by default the example's, else {DEFAULT_FPS:g}."),
    ] = None,
    example: Annotated[
        ExampleKind | None,
        typer.Option(help="Ask the model's own example of an image (as without --image and --video) or of a video."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The question; by default the model's example.")] = None,
    method: Annotated[str, typer.Option(help=f"How tokens are chosen: {', '.join(METHODS)}.")] = "v2drop",
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule_file: ScheduleFile = None,
    overlay: Annotated[Path | None, typer.Option(help="Draw the tokens kept at each stage to this file.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Answer a question about pictures or a video, dense and with dropping, and compare.

    A model's own example of a video: v2drop run --model qwen2_vl --example video
    """
    keep = read_keep(preset, retain, stages, schedule_file)
    checkpoint = find_checkpoint(model)
    question = choose_question(checkpoint, image or [], video, fps, prompt, example)
    if overlay is not None:
        _check_writable(overlay)
    adapter = find_adapter(checkpoint)
    schedule = choose_schedule(method, load_depth(checkpoint), keep, checkpoint.schedule)
    processor = load_processor(checkpoint)
    media = read_media(question, adapter, processor)
    inputs = as_inputs(processor, media, question.prompt)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(checkpoint, device)
    metadata = inputs.pop("video_metadata", None)
    inputs = inputs.to(device)

    result = compare(network, processor, inputs, schedule, method, max_new_tokens)
    layout = adapter.layout(network, {**inputs, "video_metadata": metadata})
    if overlay is not None:
        shown = as_shown(media, layout, inputs.get("pixel_values"), processor)
        draw_overlay(shown, [file.name for file in question.files], layout, result.report).save(overlay)
    tokens = layout.picture.bincount(minlength=len(question.files)).tolist()
    if as_json:
        typer.echo(json.dumps(to_json(model, question, media, tokens, method, schedule, result)))
    else:
        name = f"{model}, {str(network.dtype).removeprefix('torch.')}"
        print_result(Console(), name, question, media, tokens, method, schedule, result)
        if overlay is not None:
            Console().print(f"overlay: {overlay}")


def _check_writable(overlay: Path) -> None:
    if not overlay.resolve().parent.is_dir():
        raise CommandError(f"cannot write {overlay}: there is no folder {overlay.resolve().parent}")
    if overlay.is_dir() or overlay.suffix.lower() not in Image.registered_extensions():
        raise CommandError(f"cannot write {overlay}: name an image file, such as overlay.png")
