"""`v2drop bench`: speedup of dropping in random models of published geometries, beside the ideal speedup."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from v2drop_loading.defaults import DTYPES

from .options import GEOMETRIES, METHOD_HELP, AsJson, Preset, ScheduleFile, Stages, complete_geometry, complete_method


def bench(
    geometry: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(GEOMETRIES)}, or a model's config.json; repeat it for several. By default the first.",
            autocompletion=complete_geometry,
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(help="Scale to this hidden size, same depth and ratio of heads. By default the original."),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=2, help="Number of layers. By default the geometry's.")] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            help="Vision tokens of a picture (576) or of a video's frames (8x196). By default the geometry's."
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(min=1, help="Samples in a batch, all of the same length.")
    ] = None,
    device: Annotated[list[str] | None, typer.Option(help="cpu, cuda or cuda:N. By default cpu.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}. By default the first.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help=f"{METHOD_HELP} Or all of them: all. By default v2drop.", autocompletion=complete_method),
    ] = None,
    preset: Preset = None,
    retain: Annotated[
        float | None,
        typer.Option(help="Share of vision tokens to keep, at each method's own cuts. By default a third."),
    ] = None,
    stages: Stages = None,
    schedule: ScheduleFile = None,
    rounds: Annotated[int, typer.Option(min=2, help="Interleaved rounds; ratios are taken within rounds.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Time prefill and decode steps at published geometries: dense, with dropping, and the ideal that token counts allow.

    Weights are random; nothing is downloaded. Full sizes need a lot of memory: scale down with --hidden.
    """
    from itertools import product

    import torch
    from rich.console import Console

    from v2drop_bench.geometries import find_geometry
    from v2drop_bench.plan import ALL, Plan, find_devices, find_dtypes, find_methods, schedules_of
    from v2drop_bench.table import print_bench
    from v2drop_loading.checkpoints import quiet_transformers
    from v2drop_loading.schedules import read_keep
    from v2drop_measuring.versions import versions
    from v2drop_terminal.progress import counting_progress

    keep = read_keep(preset, retain, stages, schedule)
    quiet_transformers()
    torch.set_num_threads(threads)
    geometries = [find_geometry(name, hidden, layers) for name in dict.fromkeys(geometry or list(GEOMETRIES)[:1])]
    names = find_methods(method or ["v2drop"])
    plans = [
        Plan(each, tokens, batch_size or [1], *schedules_of(names, each.decoder(), keep, ALL in (method or [])))
        for each in geometries
    ]
    places = list(product(find_devices(device or ["cpu"]), find_dtypes(dtype or list(DTYPES)[:1])))
    for plan, (where, kind) in product(plans, places):
        plan.check(where, kind)

    results: dict[str, Any] = {"versions": versions(), "threads": threads, "rounds": rounds, "models": []}
    with counting_progress(Console(stderr=True)) as progress:
        bar = progress.add_task("starting", total=len(places) * sum(plan.cases for plan in plans) * (rounds + 1))
        for plan, (where, kind) in product(plans, places):
            progress.update(bar, description=f"{plan.geometry.name}, {kind}, {where}")
            results["models"].append(plan.run(where, kind, rounds, lambda: progress.advance(bar)))
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_bench(results)
