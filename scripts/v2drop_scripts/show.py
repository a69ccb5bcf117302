"""What `v2drop run` prints: a table for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

import v2drop

from .compare import Answer, Comparison
from .media import Media
from .question import Question


def as_json(
    model: str,
    question: Question,
    media: Media,
    tokens: Sequence[int],
    method: str,
    schedule: v2drop.Schedule,
    result: Comparison,
) -> dict[str, Any]:
    """The result as plain data. `tokens` are the vision tokens of each picture, then of the video."""

    def side(answer: Answer, kv_bytes: int, flops: int) -> dict[str, Any]:
        return {
            "answer": answer.text,
            "prefill_seconds": answer.prefill_seconds,
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
        "method": method,
        "schedule": schedule.to_dict(),
        "dense": side(result.dense, report.kv_bytes.dense, report.flops.dense),
        "dropped": {
            **side(result.dropped, report.kv_bytes.dropped, report.flops.dropped),
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
    chosen = "" if method == "v2drop" else f", chosen by {method}"
    lines += [f"prompt  {question.prompt}", f"keep    {stages or 'all'}{chosen}"]
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
    console.print(_table(result.dense, result.dropped, result.report))


def _table(dense: Answer, dropped: Answer, report: v2drop.DropReport) -> Table:
    def ratio(one: float | None, other: float | None) -> str:
        return f"{one / other:.2f} x" if one and other else "-"

    def speed(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}"

    table = Table("", "dense", "dropped", "dropped / dense")
    table.add_row("answer", dense.text, dropped.text, "same" if dense.text == dropped.text else "differs")
    seconds = (dropped.prefill_seconds, dense.prefill_seconds)
    table.add_row("prefill, ms", f"{seconds[1] * 1e3:.1f}", f"{seconds[0] * 1e3:.1f}", ratio(*seconds))
    speeds = (dropped.decode_tokens_per_second, dense.decode_tokens_per_second)
    table.add_row("decode, tokens/s", speed(speeds[1]), speed(speeds[0]), ratio(*speeds))
    vision, per_layer = sum(report.vision_tokens), report.tokens_per_layer
    table.add_row("tokens per layer", str(vision), _runs(per_layer), ratio(sum(per_layer) / len(per_layer), vision))
    table.add_row("retained", "100 %", f"{report.retained:.1%}", "")
    table.add_row(
        "LLM prefill FLOPs", f"{report.flops.dense:.3g}", f"{report.flops.dropped:.3g}", f"{report.flops.ratio:.2f} x"
    )
    kv = report.kv_bytes
    table.add_row("KV cache, bytes", f"{kv.dense:,}", f"{kv.dropped:,}", f"{kv.ratio:.2f} x")
    return table


def _runs(values: list[float]) -> str:
    """Equal neighbours as "3 x 576, 14 x 288"."""
    runs: list[tuple[int, float]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0] + 1, value)
        else:
            runs.append((1, value))
    return ", ".join(f"{count} x {value:g}" for count, value in runs)
