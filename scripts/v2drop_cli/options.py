"""Options that several commands share. Nothing here imports torch, so help and completion do not wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from v2drop_loading.defaults import DEFAULT_FPS, ExampleKind
from v2drop_zoo import zoo_models

METHODS = ("dart", "dense", "fastv", "pyramiddrop", "random", "sparsevlm", "uniform", "v2drop")
PRESETS = ("llava-1.5-192", "reference-llava", "reference-qwen2-vl", "fastv", "pyramiddrop")
GEOMETRIES = ("llava-1.5-7b", "llava-next-7b", "qwen2-vl-7b")


def complete_model(incomplete: str) -> list[str]:
    """Zoo models, and folders that may hold one."""
    folder, _, start = incomplete.rpartition("/")
    found = Path(folder or ("/" if incomplete.startswith("/") else ".")).glob(f"{start}*/")
    folders = sorted(f"{folder}/{path.name}" if "/" in incomplete else path.name for path in found)
    return [name for name in [*zoo_models(), *folders] if name.startswith(incomplete)]


def complete_method(incomplete: str) -> list[str]:
    """Built-in methods."""
    return _starting(METHODS, incomplete)


def complete_preset(incomplete: str) -> list[str]:
    """Published schedules."""
    return _starting(PRESETS, incomplete)


def complete_geometry(incomplete: str) -> list[str]:
    """Published geometries."""
    return _starting(GEOMETRIES, incomplete)


def _starting(names: Sequence[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


MODEL_HELP = "A zoo model, a folder, or an id on the hub."
METHOD_HELP = f"Dropping method: {', '.join(METHODS)}, or your own as package:Class."
PRESET_HELP = f"A published schedule, for any method: {', '.join(PRESETS)}."
RETAIN_HELP = (
    "Share of vision tokens to keep, averaged over layers. v2drop, random and uniform cut where the model's v2drop.json "
    "recommends, else at the paper's relative depths; the other methods cut where their authors do."
)
DEFAULT_HELP = "By default the budget that v2drop.json recommends, else a third."
STAGES_HELP = "Your own schedule, for any method, as LAYER:KEEP pairs: '3:0.5,17:0.3,22:0'."
SCHEDULE_HELP = "A schedule file, for any method, as v2drop schedule --json prints it."

Model = Annotated[str, typer.Option(help=MODEL_HELP, autocompletion=complete_model)]
Models = Annotated[
    list[str] | None,
    typer.Option(help=f"{MODEL_HELP} Repeat it for several; by default all of the zoo.", autocompletion=complete_model),
]
Method = Annotated[str, typer.Option(help=METHOD_HELP, autocompletion=complete_method)]
Methods = Annotated[
    list[str] | None,
    typer.Option(help=f"{METHOD_HELP} Repeat it for several; by default v2drop.", autocompletion=complete_method),
]
MethodsOrAll = Annotated[
    list[str] | None,
    typer.Option(help=f"{METHOD_HELP} Repeat it for several; by default all.", autocompletion=complete_method),
]

Preset = Annotated[str | None, typer.Option(help=PRESET_HELP, autocompletion=complete_preset)]
Presets = Annotated[
    list[str] | None, typer.Option(help=f"{PRESET_HELP} Repeat it for several.", autocompletion=complete_preset)
]
Retain = Annotated[float | None, typer.Option(help=f"{RETAIN_HELP} {DEFAULT_HELP}")]
Stages = Annotated[str | None, typer.Option(help=STAGES_HELP)]
ScheduleFile = Annotated[Path | None, typer.Option("--schedule", help=SCHEDULE_HELP)]

Images = Annotated[
    list[Path] | None, typer.Option(help="A picture; repeat it for several. By default the model's example.")
]
Video = Annotated[
    Path | None, typer.Option(help="A video, for models that take them; it follows the pictures in the prompt.")
]
Fps = Annotated[
    float | None,
    typer.Option(help=f"Frames per second to sample; by default the example's, else {DEFAULT_FPS:g}."),
]
AskExample = Annotated[
    ExampleKind | None,
    typer.Option(
        "--example", help="Ask the model's own image example (the default without --image or --video) or video example."
    ),
]
Prompt = Annotated[str | None, typer.Option(help="The question; by default the model's example.")]
LongestAnswer = Annotated[int, typer.Option("--max-new-tokens", min=1, help="Maximum answer length, in tokens.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
