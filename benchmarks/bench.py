"""`make bench`: speed and memory of attached models, compared with stock models and with the ideal, on one thread.

Rounds are interleaved, each ratio is taken within a round, and medians are printed with their quartiles.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import decode
import memory
import prefill
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timed_model import build_model

from v2drop_measuring.rounds import spread
from v2drop_measuring.versions import versions

RESULTS = Path(__file__).parent / "results.json"
TARGETS = {  # ratio: (bound, "at most" or "at least", meaning)
    "prefill / ideal": (1.02, "at most", "V2Drop's prefill over the same layers on already short inputs"),
    "dense / prefill": (2.4, "at least", "speed-up of the prefill"),
    "dense / ideal": (None, "", "the speed-up that token counts allow"),
    "scoring / prefill": (0.01, "at most", "what V2Drop's scores take"),
    "keep=1.0 / dense": (1.01, "at most", "attached, nothing dropped"),
    "batch 8 prefill / batch 8 ideal": (1.05, "at most", "8 samples of different lengths, padded"),
    "decode / stock decode": (1.02, "at most", "one step at batch 1, caches of the same lengths"),
    "batch 8 decode / batch 8 stock decode": (
        1.05,
        "at most",
        "one step of 8 padded samples, caches of the same lengths",
    ),
    "batch 8 decode / batch 8 even stock decode": (
        None,
        "",
        "the same beside a cache as long on average, its layers equally long",
    ),
    "compiled stock decode / compiled decode": (1.0, "at least", "one compiled step over a static cache"),
}


@torch.inference_mode()
def main(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds per comparison, at least 15.")] = 24,
    only: Annotated[
        str, typer.Option(help="Run one comparison, such as 'decode', and print its ratios without writing them.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")] = False,
) -> None:
    """Measure, print ratios with their targets, and write benchmarks/results.json."""
    torch.set_num_threads(1)
    console = Console(stderr=True)

    def counted(what: str) -> Any:
        return track(range(rounds), what, console=console)

    model = build_model()
    comparisons = {
        "prefill": partial(prefill.single, model),
        "decode": partial(decode.single, model),
        "prefill, batch 8": partial(prefill.ragged, model),
        "decode, batch 8": partial(decode.padded, model),
        "compiled decode": decode.compiled,
    }
    if only and only not in comparisons:
        raise typer.BadParameter(f"--only {only!r}: there are {', '.join(comparisons)}")
    groups = [compare(counted(name)) for name, compare in comparisons.items() if only in ("", name)]
    if only:
        typer.echo(json.dumps(ratios_of(groups), indent=1))
        return
    console.print("1,000 generations ...")
    results: dict[str, Any] = {
        "ratios": ratios_of(groups),
        "milliseconds": {name: 1e3 * median(times[name] for times in group) for group in groups for name in group[0]},
        "kv_bytes": prefill.kv_bytes(model),
        "resident_bytes": memory.measure(),
        "rounds": rounds,
        "versions": versions(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(results))
    else:
        show(results)


def ratios_of(groups: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Medians and quartiles of these comparisons' ratios, each taken within a round, and whether targets are met."""
    ratios = {}
    for name, (bound, sense, _) in TARGETS.items():
        above, below = name.split(" / ")
        values = [times[above] / times[below] for group in groups if above in group[0] for times in group]
        if not values:
            continue
        found = spread(values)
        met = (
            None
            if bound is None
            else bool(found["median"] <= bound if sense == "at most" else found["median"] >= bound)
        )
        ratios[name] = {**found, "target": bound, "met": met}
    return ratios


def show(results: dict[str, Any]) -> None:
    """Print the table that docs/speed.md quotes."""
    table = Table("ratio", "median", "quartiles", "target", "what it says")
    for name, row in results["ratios"].items():
        bound, sense, meaning = TARGETS[name]
        target = "-" if bound is None else f"{sense} {bound}" + ("" if row["met"] else " (missed)")
        low, high = row["quartiles"]
        table.add_row(name, f"{row['median']:.4g}", f"{low:.4g} - {high:.4g}", target, meaning)
    console = Console()
    console.print(table)
    kv, resident = results["kv_bytes"], results["resident_bytes"]
    console.print(
        f"KV cache after prefill: {kv['measured']:,} bytes, predicted {kv['predicted']:,}, dense {kv['dense']:,}"
    )
    grown = resident["after 1000"] / resident["after 10"] - 1
    console.print(f"resident memory after 1,000 generations: {grown:+.1%} of that after 10 (at most 1%)")
    console.print(f"written to {RESULTS}")


if __name__ == "__main__":
    typer.run(main)
