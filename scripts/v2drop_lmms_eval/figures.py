"""What answering took: of each call of generate, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from v2drop import Schedule


@dataclass(frozen=True)
class Call:
    """One call of generate, on a batch of prompts.

    Attributes:
        prompts: how many.
        vision_tokens: of all of them together; 0 where there was nothing to look at.
        retained: the share of these alive, averaged over layers.
        new_tokens: of the longest answer.
        seconds: of the whole call, vision tower included.
        prefill_seconds: of the language model's first forward call.
        decode_seconds: of all its later ones.
    """

    prompts: int
    vision_tokens: int
    retained: float
    new_tokens: int
    seconds: float
    prefill_seconds: float
    decode_seconds: float


def summarise(calls: Iterable[Call], peaks: Iterable[int | None]) -> dict[str, float]:
    """Means over prompts, and the most memory.

    Args:
        peaks: bytes that were held at most, here and there; None where that cannot be measured.
    """
    calls = list(calls)
    prompts = max(1, sum(call.prompts for call in calls))
    tokens = sum(call.vision_tokens for call in calls)
    kept = sum(call.retained * call.vision_tokens for call in calls)
    found = [peak for peak in peaks if peak is not None]
    return {
        "prompts": sum(call.prompts for call in calls),
        "vision_tokens": tokens / prompts,
        "vision_tokens_kept": kept / prompts,
        "retained": kept / tokens if tokens else 1.0,
        "prefill_ms": 1e3 * sum(call.prefill_seconds for call in calls) / prompts,
        "decode_ms": 1e3 * sum(call.decode_seconds for call in calls) / prompts,
        "answer_ms": 1e3 * sum(call.seconds for call in calls) / prompts,
        **({"peak_bytes": max(found)} if found else {}),
    }


def of_schedule(schedule: Schedule) -> dict[str, float]:
    """A schedule as numbers, which are all that lmms-eval takes: what each stage keeps, and the fewest tokens."""
    keeps = {f"keep_before_layer_{stage.layer}": stage.keep for stage in schedule.stages}
    return {**keeps, "min_tokens": schedule.min_tokens}
