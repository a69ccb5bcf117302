"""From a journal to results: one row for each model, method and budget, with all that was measured."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from statistics import mean, median
from typing import Any

import torch

import v2drop

from .comparing import Subject, records_of
from .entrants import BASELINE, Entrant, unfairness
from .journal import Journal
from .position import summarise
from .schedules import DENSE
from .statistics import mcnemar, wilson_interval

Row = dict[str, Any]
MEASURED = (
    "retained", "asked", "right", "accuracy", "interval", "by_kind", "of_dense", "p_random", "prefill_ms", "decode_ms",
    "total_ms", "prefill_ratio", "decode_ratio", "peak_bytes", "working_bytes", "kv_bytes", "flops", "position", "error",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of what results depend on."""
    import transformers

    found = {"v2drop": v2drop.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    return {**found, "python": platform.python_version()}


def outcome(subject: Subject, journal: Journal) -> dict[str, Any]:
    """What came out for one subject: its rows, what was skipped, and what it ran on."""
    where = {"record": "skipped", "model": subject.name, "modality": subject.modality}
    unread = [record for record in journal.records if where.items() <= record.items()]
    return {
        "device": str(subject.model.device),
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "task": {"name": subject.task.name, "questions": len(subject.task.questions)},
        "rows": rows(subject, journal),
        "skipped": [
            *(line.to_dict() for line in subject.task.skipped),
            *({name: record[name] for name in ("file", "line", "reason")} for record in unread),
        ],
    }


def collect(command: str, seed: int, outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The results of a run as plain data, ready for JSON."""
    skipped = [line for each in outcomes for line in each["skipped"]]
    return {
        "command": command,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seed": seed,
        "versions": versions(),
        "device": outcomes[0]["device"],
        "dtype": outcomes[0]["dtype"],
        "threads": torch.get_num_threads(),
        "task": {
            "name": ", ".join(dict.fromkeys(each["task"]["name"] for each in outcomes)),
            "questions": max(each["task"]["questions"] for each in outcomes),
        },
        "rows": [row for each in outcomes for row in each["rows"]],
        "skipped": [line for number, line in enumerate(skipped) if line not in skipped[:number]],
    }


def rows(subject: Subject, journal: Journal) -> list[Row]:
    """One row for each entrant, dense first, compared with dense and with random at the same budget."""
    measured = {entrant.key: _measure(subject, entrant, journal) for entrant in subject.entrants}
    dense = measured[DENSE, None]
    result = []
    for entrant in subject.entrants:
        row: Row = {
            "model": subject.name,
            "modality": subject.modality,
            "method": entrant.method,
            "budget": entrant.budget,
            "schedule": None if entrant.schedule is None else entrant.schedule.to_dict(),
            **dict.fromkeys(MEASURED),
            "unreachable": entrant.error,
        }
        found = measured[entrant.key]
        if found.answers:
            row |= _accuracy(subject, entrant, found)
            row["of_dense"] = row["accuracy"] / dense.accuracy if dense.accuracy else None
            random = measured.get((BASELINE, entrant.budget))
            if random is not None and entrant.method not in (BASELINE, DENSE) and random.answers:
                row["p_random"] = mcnemar(
                    [found.answers[number] for number in random.answers], list(random.answers.values())
                )
        if found.times:
            row |= _speed(found.times, dense.times)
        result.append(row)
    return result


class _Measured:
    """What the journal holds of one entrant."""

    def __init__(self, batches: Iterable[dict[str, Any]], times: Iterable[dict[str, Any]]) -> None:
        self.batches = [batch for batch in batches if batch["numbers"]]
        self.answers: dict[int, bool] = {}
        for batch in self.batches:
            self.answers.update(zip(batch["numbers"], batch["right"], strict=True))
        self.times = {time["start"]: time for time in times if "prefill" in time}

    @property
    def accuracy(self) -> float:
        return sum(self.answers.values()) / len(self.answers) if self.answers else 0.0


def _measure(subject: Subject, entrant: Entrant, journal: Journal) -> _Measured:
    batches, times = (records_of(journal, subject, entrant, record) for record in ("batch", "timed"))
    return _Measured(batches, times)


def _accuracy(subject: Subject, entrant: Entrant, found: _Measured) -> Row:
    asked, right = len(found.answers), sum(found.answers.values())
    kinds = Counter(subject.task.questions[number].kind for number in found.answers)
    known = Counter(subject.task.questions[number].kind for number, good in found.answers.items() if good)
    tokens = sum(batch["vision_tokens"] for batch in found.batches)
    retained = sum(batch["retained"] * batch["vision_tokens"] for batch in found.batches) / max(1, tokens)
    held = [(batch["peak"], batch["rest"]) for batch in found.batches if batch["peak"] is not None]
    return {
        "retained": retained,
        "asked": asked,
        "right": right,
        "accuracy": right / asked,
        "interval": list(wilson_interval(right, asked)),
        "by_kind": {kind: [known[kind], count] for kind, count in sorted(kinds.items())},
        "peak_bytes": median(peak for peak, _ in held) if held else None,
        "working_bytes": median(peak - rest for peak, rest in held) if held else None,
        "position": summarise(batch["places"] for batch in found.batches),
        "error": unfairness(entrant, retained, tokens, asked, subject.num_layers),
    }


def _speed(times: dict[int, Row], dense: dict[int, Row]) -> Row:
    """Medians over questions; ratios to dense are medians of each question's ratio."""
    both = [(time, dense[number]) for number, time in times.items() if number in dense]

    def ratio(name: str) -> float | None:
        return median(time[name] / theirs[name] for time, theirs in both) if both else None

    return {
        "prefill_ms": 1e3 * median(time["prefill"] for time in times.values()),
        "decode_ms": 1e3 * median(time["decode"] for time in times.values()),
        "total_ms": 1e3 * median(time["prefill"] + time["decode"] for time in times.values()),
        "prefill_ratio": ratio("prefill"),
        "decode_ratio": ratio("decode"),
        "kv_bytes": mean(time["kv_bytes"] for time in times.values()),
        "flops": mean(time["flops"] for time in times.values()),
    }
