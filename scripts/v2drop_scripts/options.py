"""Options that several commands share. Nothing here imports torch: help and completion are not to wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

METHODS = ("dart", "dense", "fastv", "pyramiddrop", "random", "sparsevlm", "uniform", "v2drop")
PRESETS = ("llava-1.5-192", "reference-llava", "reference-qwen2-vl", "fastv", "pyramiddrop")

PRESET_HELP = f"A published schedule, for whatever method: {', '.join(PRESETS)}."
RETAIN_HELP = (
    "Share of vision tokens to keep, averaged over layers. v2drop, random and uniform cut where the model's v2drop.json "
    "recommends it, else at the paper's relative depths, the other methods where their authors cut."
)
DEFAULT_HELP = "By default the budget that v2drop.json recommends, else a third."
STAGES_HELP = "A schedule of your own, for whatever method, as LAYER:KEEP pairs: '3:0.5,17:0.3,22:0'."
SCHEDULE_HELP = "A file with a schedule, for whatever method, as v2drop schedule --json prints it."

Preset = Annotated[str | None, typer.Option(help=PRESET_HELP)]
Retain = Annotated[float | None, typer.Option(help=f"{RETAIN_HELP} {DEFAULT_HELP}")]
Stages = Annotated[str | None, typer.Option(help=STAGES_HELP)]
ScheduleFile = Annotated[Path | None, typer.Option("--schedule", help=SCHEDULE_HELP)]
