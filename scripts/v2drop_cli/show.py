"""`v2drop show`: a page that draws the dropped tokens, layer by layer, and plots comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    MODEL_HELP,
    AskExample,
    Fps,
    Images,
    LongestAnswer,
    Methods,
    Preset,
    Prompt,
    Retain,
    ScheduleFile,
    Stages,
    Video,
    complete_model,
)


def show(
    model: Annotated[
        str | None,
        typer.Option(help=f"{MODEL_HELP} By default llava, or none with --comparison.", autocompletion=complete_model),
    ] = None,
    image: Images = None,
    video: Video = None,
    fps: Fps = None,
    example: AskExample = None,
    prompt: Prompt = None,
    method: Methods = None,
    preset: Preset = None,
    retain: Retain = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    comparison: Annotated[
        list[Path] | None,
        typer.Option(help="A results file from --json or --out of compare-methods or compare-models; repeatable."),
    ] = None,
    max_new_tokens: LongestAnswer = 64,
    out: Annotated[Path, typer.Option(help="The page to write: one self-contained HTML file.")] = Path("page.html"),
) -> None:
    """Write a page that shows which tokens are dropped at each layer, and how much they vary.

    Methods side by side: v2drop show --method v2drop --method fastv --out page.html
    """
    from rich.console import Console

    from v2drop_loading.checkpoints import find_checkpoint
    from v2drop_loading.question import choose_question
    from v2drop_loading.schedules import Keep, read_keep
    from v2drop_page.page import write_page
    from v2drop_page.sections import ask_example, read_comparison
    from v2drop_terminal.progress import waiting

    from .compare_output import check_page

    check_page(out)
    compared = [read_comparison(path, number) for number, path in enumerate(comparison or [])]
    sections = []
    keep = read_keep(preset, retain, stages, schedule)
    asked = keep != Keep() or any(value is not None for value in (image, video, fps, example, prompt, method))
    if model is not None or asked or not compared:
        checkpoint = find_checkpoint(model or "llava")
        question = choose_question(checkpoint, image or [], video, fps, prompt, example)
        with waiting(f"starting {checkpoint.name}, and asking it"):
            sections.append(ask_example(checkpoint, question, method or ["v2drop"], keep, max_new_tokens))
    write_page([*sections, *compared], out)
    Console().print(f"page: {out}", highlight=False, soft_wrap=True, markup=False)
