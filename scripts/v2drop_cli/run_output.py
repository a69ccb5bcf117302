"""Output of `v2drop run`: a table for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import v2drop
from v2drop_loading.media import Media
from v2drop_loading.question import Question
from v2drop_measuring.dense_vs_dropped import STEPS, Comparison
from v2drop_measuring.rounds import UNCLEAR, WIDEST, clear_ratio
from v2drop_measuring.versions import versions


def as_json(
    model: str,
    question: Question,
    media: Media,
    tokens: Sequence[int],
    method: str,
    schedule: v2drop.Schedule,
    result: Comparison,
) -> dict[str, Any]:
    """The result as plain data. `tokens` are the vision tokens of each picture, then of the video.

    Times are seconds, medians and quartiles over rounds; `decode` is one step.
    """

    times = {part: result.times.of(part) for part in ("prefill", "decode")}

    def side(way: str, answer: str, kv_bytes: int, flops: int) -> dict[str, Any]:
        return {
            "answer": answer,
            "prefill_seconds": times["prefill"][way]["median"],
            "decode_seconds": times["decode"][way]["median"],
            "kv_bytes": kv_bytes,
            "flops": flops,
        }

    report = result.report
    return {
        "model": model,
        "image": str(question.images[0]) if len(question.images) == 1 else None,
        "images": [
            {"file": str(file), "vision_tokens": count} for file, count in zip(question.images, tokens, strict=False)
        ],
        "video": question.video
        and {
            "file": str(question.video),
            "fps": question.fps,
            "frames": len(media.times),
            "times": media.times,
            "vision_tokens": tokens[-1],
        },
        "prompt": question.prompt,
        "notes": list(media.notes),
        "method": method,
        "schedule": schedule.to_dict(),
        "times": {"rounds": len(result.times.dense), "threads": result.times.threads, "decode_steps": STEPS, **times},
        "versions": versions(),
        "dense": side("dense", result.dense, report.kv_bytes.dense, report.flops.dense),
        "dropped": {
            **side("dropped", result.dropped, report.kv_bytes.dropped, report.flops.dropped),
            "retained": report.retained,
            "tokens_per_layer": report.tokens_per_layer,
        },
    }


def print_result(
    console: Console,
    model: str,
    question: Question,
    media: Media,
    tokens: Sequence[int],
    method: str,
    schedule: v2drop.Schedule,
    result: Comparison,
) -> None:
    """The result as a heading and a table. `tokens` as in `as_json`."""
    lines = [f"model   {model}"]
    lines += [f"image   {file} ({count} vision tokens)" for file, count in zip(question.images, tokens, strict=False)]
    if question.video is not None:
        span = f"{len(media.times)} frames from {media.times[0]:.1f} to {media.times[-1]:.1f} s"
        lines.append(f"video   {question.video} ({span}, {tokens[-1]} vision tokens)")
    stages = ", ".join(f"{stage.keep:.3g} from layer {stage.layer}" for stage in schedule.stages)
    lines += [f"note    {note}" for note in media.notes]
    chosen = "" if method == "v2drop" else f", chosen by {method}"
    lines += [f"prompt  {question.prompt}", f"keep    {stages or 'all'}{chosen}"]
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
    console.print(_table(result))
    threads = result.times.threads
    console.print(
        f"times: medians and quartiles of {len(result.times.dense)} rounds by turns, {threads} thread{'s' * (threads != 1)}; "
        f"decode: one step; {UNCLEAR}: a ratio's quartiles lie more than {WIDEST:.0%} apart",
        highlight=False,
        soft_wrap=True,
    )


def _table(result: Comparison) -> Table:
    def ratio(one: float, other: float) -> str:
        return f"{one / other:.2f} x" if other else "-"

    table, report = Table("", "dense", "dropped", "dropped / dense"), result.report
    table.add_row(
        "answer", Text(result.dense), Text(result.dropped), "same" if result.dense == result.dropped else "differs"
    )
    for part in ("prefill", "decode"):
        times = result.times.of(part)
        table.add_row(
            f"{part}, ms",
            in_ms(times["dense"]),
            in_ms(times["dropped"]),
            clear_ratio(**times["ratio"], pattern="{:.2f} x"),
        )
    vision, per_layer = sum(report.vision_tokens), report.tokens_per_layer
    table.add_row("tokens per layer", str(vision), _runs(per_layer), ratio(sum(per_layer) / len(per_layer), vision))
    table.add_row("retained", "100 %", f"{report.retained:.1%}", "")
    table.add_row(
        "LLM prefill FLOPs", f"{report.flops.dense:.3g}", f"{report.flops.dropped:.3g}", f"{report.flops.ratio:.2f} x"
    )
    kv = report.kv_bytes
    table.add_row("KV cache, bytes", f"{kv.dense:,}", f"{kv.dropped:,}", f"{kv.ratio:.2f} x")
    return table


def in_ms(times: Mapping[str, Any]) -> str:
    """Seconds as "12.3 (11.9-13.0)"."""
    low, high = times["quartiles"]
    return f"{times['median'] * 1e3:.1f} ({low * 1e3:.1f}-{high * 1e3:.1f})"


def _runs(values: list[float]) -> str:
    """Runs of equal values as "3 x 576, 14 x 288"."""
    runs: list[tuple[int, float]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0] + 1, value)
        else:
            runs.append((1, value))
    return ", ".join(f"{count} x {value:g}" for count, value in runs)
