"""`v2drop bench`: what dropping saves in models of published geometries with random weights, beside what it could save."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from v2drop import Schedule, methods
from v2drop.methods import make_method

from .bench_measure import measure
from .bench_memory import check_memory
from .bench_prompt import Length, Prompt
from .bench_rounds import exponent
from .bench_table import print_bench
from .checkpoints import quiet_transformers
from .errors import CommandError
from .geometries import GEOMETRIES, Geometry, find_geometry, materialise
from .options import Preset, ScheduleFile, Stages
from .results import versions
from .schedules import Keep, choose_schedule, read_keep

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ALL = "all"


def bench(
    geometry: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(GEOMETRIES)}; repeat it for several. By default the first.")
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(help="Scale to this hidden size: same depth and ratio of heads. By default the true one."),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=2, help="Another depth than the geometry's.")] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            help="Vision tokens of a picture (576) or of a video's frames (8x196). By default the geometry's."
        ),
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Samples of a batch, all of one length.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="cpu, cuda or cuda:N. By default cpu.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}. By default the first.")] = None,
    method: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(methods())}, or {ALL} of them. By default v2drop.")
    ] = None,
    preset: Preset = None,
    retain: Annotated[
        float | None,
        typer.Option(help="Share of vision tokens to keep, at each method's own cuts. By default a third."),
    ] = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    rounds: Annotated[int, typer.Option(min=2, help="Interleaved rounds; ratios are taken within rounds.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="Of the CPU.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Time prefill and decode steps at published geometries: dense, with dropping, and the ideal that token counts allow.

    Weights are random, nothing is downloaded. True sizes need memory: scale with --hidden where there is less.
    """
    keep = read_keep(preset, retain, stages, schedule)
    quiet_transformers()
    torch.set_num_threads(threads)
    geometries = [find_geometry(name, hidden, layers) for name in dict.fromkeys(geometry or list(GEOMETRIES)[:1])]
    names = _methods(method or ["v2drop"])
    plans = [_Plan(each, tokens, batch or [1], _schedules(names, each.layers, keep)) for each in geometries]
    places = list(product(_devices(device or ["cpu"]), _dtypes(dtype or list(DTYPES)[:1])))
    for plan, (where, kind) in product(plans, places):
        plan.check(where, kind)

    results: dict[str, Any] = {"versions": versions(), "threads": threads, "rounds": rounds, "models": []}
    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(places) * sum(plan.cases for plan in plans) * (rounds + 1))
        for plan, (where, kind) in product(plans, places):
            progress.update(bar, description=f"{plan.geometry.name}, {kind}, {where}")
            results["models"].append(plan.run(where, kind, rounds, lambda: progress.advance(bar)))
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_bench(results)


class _Plan:
    """What is measured at one geometry."""

    def __init__(
        self, geometry: Geometry, tokens: Sequence[str] | None, batches: Sequence[int], schedules: dict[str, Schedule]
    ) -> None:
        self.geometry, self.schedules = geometry, schedules
        lengths = list(dict.fromkeys(Length.parse(text) for text in tokens or geometry.lengths))
        self._shapes = list(product(lengths, dict.fromkeys(batches)))
        self.cases = len(self._shapes)

    def check(self, device: str, dtype: str) -> None:
        """Raise CommandError where it does not fit into memory."""
        rows = max(length.sequence * batch for length, batch in self._shapes)
        what = f"{self.geometry.name} with hidden size {self.geometry.hidden} in {dtype}"
        ideals = sum(
            1 + len(schedule.stages) for schedule in self.schedules.values()
        )  # inputs, of all methods' at once
        check_memory(self.geometry.on_meta(DTYPES[dtype]), rows, device, what, ideals)

    def run(self, device: str, dtype: str, rounds: int, tick: Any) -> dict[str, Any]:
        """Build the model, measure all lengths and batches, and let it go again."""
        model = materialise(self.geometry.on_meta(DTYPES[dtype]), device)
        rows = []
        for length, batch in self._shapes:
            rows += measure(model, Prompt(model, length, batch), self.schedules, rounds, tick)
        return {
            "geometry": self.geometry.name,
            "layers": self.geometry.layers,
            "hidden": self.geometry.hidden,
            "heads": self.geometry.heads,
            "kv_heads": self.geometry.kv_heads,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "device": device,
            "dtype": dtype,
            "rows": rows,
            "growth": growth(rows),
        }


def growth(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each method and batch that was measured at several lengths, how cost grows with all tokens, as a power of them."""
    found = []
    for method, batch in dict.fromkeys((row["method"], row["batch"]) for row in rows):
        group = sorted(
            (row for row in rows if (row["method"], row["batch"]) == (method, batch)), key=lambda row: row["sequence"]
        )
        sequences = [row["sequence"] for row in group]
        if len(set(sequences)) < 2:
            continue
        costs = {
            way: [row["seconds"][way]["prefill"]["median"] for row in group] for way in ("dense", "dropped", "ideal")
        }
        costs |= {f"{way} FLOPs": [row["flops"][way] for row in group] for way in ("dense", "dropped")}
        exponents = {name: exponent(sequences, values) for name, values in costs.items()}
        found.append({"method": method, "batch": batch, "sequences": sequences, "exponents": exponents})
    return found


def _schedules(names: Sequence[str], num_layers: int, keep: Keep) -> dict[str, Schedule]:
    return {name: choose_schedule(name, num_layers, keep, None) for name in names}


def _methods(names: Sequence[str]) -> list[str]:
    chosen = list(methods()) if ALL in names else list(dict.fromkeys(names))
    for name in chosen:
        make_method(name)
    return chosen


def _devices(names: Sequence[str]) -> list[str]:
    for name in names:
        index = name.removeprefix("cuda").removeprefix(":") or "0"
        known = name == "cpu" or (
            name.startswith("cuda") and index.isdigit() and int(index) < torch.cuda.device_count()
        )
        if not known:
            raise CommandError(f"no device {name!r}: there are cpu and {torch.cuda.device_count()} of cuda")
    return list(dict.fromkeys(names))


def _dtypes(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in DTYPES:
            raise CommandError(f"--dtype {name!r}: use one of {', '.join(DTYPES)}")
    return list(dict.fromkeys(names))
