"""The printed tables of `v2drop bench`: prefill, decode steps and the growth of costs for each model."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

PREFILL = (
    "tokens", "batch", "method", "dense, ms", "ms", "ideal, ms", "speed-up", "FLOPs", "ideal", "over ideal", "scoring",
)  # fmt: skip
DECODE = ("tokens", "batch", "method", "retained", "dense, ms", "ms", "of dense", "over ideal", "KV, MB", "of dense")
GROWTH = ("tokens", "batch", "method", "dense", "dropped", "ideal", "dense FLOPs", "dropped FLOPs")
LEGEND = (
    "Medians of {rounds} interleaved rounds, with quartiles, on {threads}. Prefill times the language model, decode one "
    "step of the whole model; the vision tower does not run. speed-up: dense prefill over the method's; FLOPs: the "
    "speed-up that token counts allow; ideal: the speed-up of the same layers on inputs that are already short; over "
    "ideal: the method's time over the ideal's; scoring: its share of the method's prefill. Growth: the power of the "
    "total token count that costs grow with."
)
WIDTH = 132  # columns, where the output is not a terminal


def print_bench(results: dict[str, Any]) -> None:
    """Print all tables."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for model in results["models"]:
        title = (
            f"{model['geometry']}: {model['layers']} layers, hidden size {model['hidden']}, {model['heads']} heads "
            f"({model['kv_heads']} key heads), {model['parameters'] / 1e6:,.0f} M weights, {model['dtype']} on {model['device']}"
        )
        console.print(f"[bold]{title}[/]", highlight=False)
        console.print(_table("Prefill", PREFILL, [_prefill(row) for row in model["rows"]]))
        console.print(_table("Decode step", DECODE, [_decode(row) for row in model["rows"]]))
        for name, reason in model["unreachable"].items():
            console.print(f" -: {name}: {reason}", highlight=False, soft_wrap=True, markup=False)
        if model["growth"]:
            console.print(_table("Growth of prefill", GROWTH, [_growth(growth) for growth in model["growth"]]))
    threads = f"{results['threads']} thread{'s' * (results['threads'] != 1)} of the CPU"
    console.print(LEGEND.format(rounds=results["rounds"], threads=threads), highlight=False)


def _table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    longest = max(len(row[columns.index("method")]) for row in rows)
    for column in columns:
        if column == "method":
            table.add_column(
                column, no_wrap=True, min_width=longest
            )  # names are never cut off, even on a narrow screen
        else:
            table.add_column(column, justify="left" if column == "tokens" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _prefill(row: dict[str, Any]) -> list[str]:
    ratios = row["ratios"]
    return [
        *_what(row),
        *(_ms(row["seconds"][way]["prefill"]) for way in ("dense", "dropped", "ideal")),
        _spread(ratios["speedup"], ".2f"),
        f"{row['flops']['speedup']:.2f}",
        f"{ratios['ideal_speedup']['median']:.2f}",
        _spread(ratios["overhead"], ".3f"),
        f"{ratios['scoring']['median']:.2%}",
    ]


def _decode(row: dict[str, Any]) -> list[str]:
    ratios, held = row["ratios"], row["kv_bytes"]
    return [
        *_what(row),
        f"{row['retained']:.1%}",
        *(_ms(row["seconds"][way]["decode"]) for way in ("dense", "dropped")),
        _spread(ratios["decode"], ".2f"),
        f"{ratios['decode_overhead']['median']:.3f}",
        f"{held['dropped'] / 1e6:.1f}",
        f"{held['dropped'] / held['dense']:.1%}",
    ]


def _growth(growth: dict[str, Any]) -> list[str]:
    first, *_, last = growth["sequences"]
    exponents = [f"{growth['exponents'][name]:.2f}" for name in GROWTH[3:]]
    return [f"{first:,} to {last:,}", str(growth["batch"]), growth["method"], *exponents]


def _what(row: dict[str, Any]) -> list[str]:
    return [row["tokens"], str(row["batch"]), row["method"]]


def _ms(seconds: dict[str, Any]) -> str:
    return f"{seconds['median'] * 1e3:.1f}"


def _spread(ratio: dict[str, Any], pattern: str) -> str:
    low, high = (format(value, pattern) for value in ratio["quartiles"])
    return f"{ratio['median']:{pattern}} {low}-{high}"
