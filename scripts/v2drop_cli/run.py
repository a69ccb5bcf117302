"""`v2drop run`: ask a model about pictures or a video, dense and with dropping, and show the savings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import (
    AsJson,
    AskExample,
    Fps,
    Images,
    LongestAnswer,
    Method,
    Model,
    Preset,
    Prompt,
    Retain,
    ScheduleFile,
    Stages,
    Video,
)


def run(
    model: Model = "llava",
    image: Images = None,
    video: Video = None,
    fps: Fps = None,
    example: AskExample = None,
    prompt: Prompt = None,
    method: Method = "v2drop",
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule_file: ScheduleFile = None,
    overlay: Annotated[Path | None, typer.Option(help="Draw the tokens kept at each stage to this file.")] = None,
    max_new_tokens: LongestAnswer = 64,
    as_json: AsJson = False,
) -> None:
    """Answer a question about pictures or a video, dense and with dropping, and compare.

    A model's video example: v2drop run --model qwen2_vl --example video
    """
    import torch
    from rich.console import Console

    from v2drop_loading.checkpoints import find_adapter, find_checkpoint, load_decoder, load_network, load_processor
    from v2drop_loading.media import as_inputs, read_media
    from v2drop_loading.question import choose_question
    from v2drop_loading.schedules import choose_schedule, read_keep
    from v2drop_measuring.dense_vs_dropped import compare
    from v2drop_page.overlay import as_shown, check_overlay, draw_overlay
    from v2drop_terminal.progress import waiting

    from .run_output import as_json as to_json
    from .run_output import print_result

    keep = read_keep(preset, retain, stages, schedule_file)
    checkpoint = find_checkpoint(model)
    question = choose_question(checkpoint, image or [], video, fps, prompt, example)
    if overlay is not None:
        check_overlay(overlay)
    adapter = find_adapter(checkpoint)
    schedule = choose_schedule(method, load_decoder(checkpoint), keep, checkpoint.schedule)
    with waiting(f"starting {model}"):
        processor = load_processor(checkpoint)
        media = read_media(question, adapter, processor)
        inputs = as_inputs(processor, media, question.prompt)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = load_network(checkpoint, device)
        metadata = inputs.pop("video_metadata", None)
        inputs = inputs.to(device)
    with waiting("asking dense and with dropping, by turns"):
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
            Console().print(f"overlay: {overlay}", highlight=False, soft_wrap=True, markup=False)
