"""The cost of answering: of each generate call, and of all of them together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2drop import Schedule
from v2drop_measuring.journal import JOURNAL


@dataclass(frozen=True)
class Call:
    """One generate call on a batch of prompts.

    Attributes:
        prompts: number of prompts.
        vision_tokens: vision tokens of all prompts together; 0 without media.
        retained: the share of vision tokens kept, averaged over layers.
        new_tokens: tokens of the longest answer.
        seconds: time of the whole call, including the vision tower.
        prefill_seconds: time of the language model's first forward call.
        decode_seconds: time of all its later forward calls.
    """

    prompts: int
    vision_tokens: int
    retained: float
    new_tokens: int
    seconds: float
    prefill_seconds: float
    decode_seconds: float


def of_records(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over prompts, the share retained, and peak memory, from a journal's records."""
    calls = [Call(**call) for record in records for call in record["calls"]]
    peaks = [record["peak"] for record in records if record["peak"] is not None]
    prompts = sum(call.prompts for call in calls)
    tokens = sum(call.vision_tokens for call in calls)
    kept = sum(call.retained * call.vision_tokens for call in calls)
    each = 1 / max(1, prompts)
    return {
        "prompts": prompts,
        "vision_tokens": tokens * each,
        "vision_tokens_kept": kept * each,
        "retained": kept / tokens if tokens else 1.0,
        "new_tokens": sum(call.prompts * call.new_tokens for call in calls) * each,
        "prefill_ms": 1e3 * sum(call.prefill_seconds for call in calls) * each,
        "decode_ms": 1e3 * sum(call.decode_seconds for call in calls) * each,
        "answer_ms": 1e3 * sum(call.seconds for call in calls) * each,
        **({"peak_bytes": max(peaks)} if peaks else {}),
    }


def of_folder(folder: Path) -> dict[str, float]:
    """The same for all journals of a run's processes in a folder."""
    return of_records(records_of(folder))


def records_of(folder: Path) -> list[dict[str, Any]]:
    """All records of a run's processes in a folder; an incomplete last line of a killed process is ignored."""
    texts = [path.read_text() for path in sorted(folder.glob(f"*/{JOURNAL}"))]
    return [json.loads(line) for text in texts for line in text[: text.rfind("\n") + 1].splitlines()[1:]]


def of_schedule(schedule: Schedule) -> dict[str, float]:
    """A schedule as numbers, since lmms-eval takes nothing else: each stage's share, and the minimum of tokens."""
    keeps = {f"keep_before_layer_{stage.layer}": stage.keep for stage in schedule.stages}
    return {**keeps, "min_tokens": schedule.min_tokens}
