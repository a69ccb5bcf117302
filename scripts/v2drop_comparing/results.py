"""Makes results from a journal: one row for each model, method and budget, with all that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from statistics import mean, median
from typing import Any

from v2drop_loading.methods import BASELINE
from v2drop_loading.schedules import DENSE
from v2drop_measuring.journal import Journal
from v2drop_measuring.position_bias import summarise
from v2drop_measuring.rounds import spread
from v2drop_measuring.significance import mcnemar, ratio_interval, wilson_interval
from v2drop_measuring.timing import threads_for
from v2drop_measuring.versions import versions

from .contenders import Contender, unfairness
from .harness import Subject
from .records import Answered, Timed, records_of

Row = dict[str, Any]
TIMED = ("prefill", "decode", "total")
MEASURED = (
    "retained", "asked", "right", "accuracy", "seeds", "interval", "by_kind", "of_dense", "of_dense_interval", "p_random",
    "p_against", *(f"{part}_ms" for part in TIMED), *(f"{part}_quartiles" for part in TIMED), "prefill_ratio",
    "prefill_ratio_quartiles", "decode_ratio", "decode_ratio_quartiles", "peak_bytes", "working_bytes", "kv_bytes",
    "flops", "position", "error",
)  # fmt: skip


def outcome(subject: Subject, journal: Journal, against: str | None = None) -> dict[str, Any]:
    """The results of one subject: its rows, skipped lines, and device; for `against` see `rows`."""
    where = {"record": "skipped", "model": subject.name, "modality": subject.modality}
    unread = [record for record in journal.records if where.items() <= record.items()]
    found = rows(subject, journal, against)
    return {
        "device": str(subject.model.device),
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "threads": threads_for(subject.model),
        "task": {"name": subject.task.name, "questions": max(row["asked"] or 0 for row in found)},
        "rows": found,
        "skipped": [
            *(line.to_dict() for line in subject.task.skipped),
            *({name: record[name] for name in ("file", "line", "reason")} for record in unread),
        ],
    }


def collect(command: str, seed: int, outcomes: Sequence[dict[str, Any]], against: str | None = None) -> dict[str, Any]:
    """The results of a run as plain data, ready for JSON."""
    skipped = [line for each in outcomes for line in each["skipped"]]
    counts = [each["task"]["questions"] for each in outcomes]
    return {
        "command": command,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seed": seed,
        "versions": versions(),
        "device": outcomes[0]["device"],
        "dtype": outcomes[0]["dtype"],
        "threads": outcomes[0]["threads"],
        "task": {
            "name": ", ".join(dict.fromkeys(each["task"]["name"] for each in outcomes)),
            "questions": max(counts),
            "fewest": min(counts),
        },
        "against": against,
        "rows": [row for each in outcomes for row in each["rows"]],
        "skipped": [line for number, line in enumerate(skipped) if line not in skipped[:number]],
    }


def rows(subject: Subject, journal: Journal, against: str | None = None) -> list[Row]:
    """One row for each method and budget, dense first, compared with dense and with random at the same budget.

    Args:
        against: a method that all others are also tested against.
    """
    measured = {
        contender.key[:2]: _measure(subject, contender, journal)
        for contender in subject.contenders
        if not contender.draw
    }
    dense = measured[DENSE, None]
    result = []
    for contender in subject.contenders:
        if contender.draw:
            continue  # another seed of random: part of the first seed's row
        row: Row = {
            "model": subject.name,
            "modality": subject.modality,
            "method": contender.method,
            "budget": contender.budget,
            "schedule": None if contender.schedule is None else contender.schedule.to_dict(),
            **dict.fromkeys(MEASURED),
            "unreachable": contender.error,
        }
        found = measured[contender.key[:2]]
        if found.answers:
            row |= _accuracy(subject, contender, found)
            interval = ratio_interval([found.answers[number] for number in dense.answers], list(dense.answers.values()))
            row["of_dense"] = row["accuracy"] / dense.accuracy if dense.accuracy else None
            row["of_dense_interval"] = None if interval is None or contender.method == DENSE else list(interval)
            row["p_random"] = None if contender.method == DENSE else _tested(contender, found, BASELINE, measured)
            row["p_against"] = None if against is None else _tested(contender, found, against, measured)
        if found.times:
            row |= _speed(found.times, dense.times)
        result.append(row)
    return result


class _Measured:
    """The journal's records of a method at a budget.

    Attributes:
        draws: whether each question was answered right, once for each seed of random, otherwise once.
        answers: for each question, the share of draws in which it was.
    """

    def __init__(self, batches: Iterable[Answered], times: Iterable[Timed]) -> None:
        self.batches = [batch for batch in batches if batch.numbers]
        draws: dict[int, dict[int, bool]] = {}
        for batch in self.batches:
            draws.setdefault(batch.draw, {}).update(zip(batch.numbers, batch.right, strict=True))
        self.draws = list(draws.values())
        self.answers = {
            number: mean([int(draw[number]) for draw in self.draws]) for number in (self.draws[0] if draws else ())
        }
        self.times = {time.start: time for time in times if time.was_read}

    @property
    def accuracy(self) -> float:
        return sum(self.answers.values()) / len(self.answers) if self.answers else 0.0


def _measure(subject: Subject, contender: Contender, journal: Journal) -> _Measured:
    same = [other for other in subject.contenders if other.key[:2] == contender.key[:2]]
    batches = [each for other in same for each in records_of(journal, Answered, *subject.key, other.key)]
    times = [each for other in same for each in records_of(journal, Timed, *subject.key, other.key)]
    return _Measured(batches, times)


def _tested(contender: Contender, found: _Measured, rival: str, measured: dict[Any, _Measured]) -> float | None:
    """McNemar's p against a rival at the same budget, the median over seeds; None against itself or a missing rival."""
    theirs = measured.get((rival, None if rival == DENSE else contender.budget))
    if theirs is None or not theirs.answers or contender.method == rival:
        return None
    return median(
        mcnemar([ours[number] for number in others], list(others.values()))
        for ours in found.draws
        for others in theirs.draws
    )


def _accuracy(subject: Subject, contender: Contender, found: _Measured) -> Row:
    asked, right = len(found.answers), sum(found.answers.values())
    kinds: dict[str, list[float]] = {}
    for number, share in found.answers.items():
        kinds.setdefault(subject.task.questions[number].kind, []).append(share)
    tokens = sum(batch.vision_tokens for batch in found.batches)
    retained = sum(batch.retained * batch.vision_tokens for batch in found.batches) / max(1, tokens)
    held = [(batch.peak, batch.rest) for batch in found.batches if batch.peak is not None and batch.rest is not None]
    several = len(found.draws) > 1
    return {
        "retained": retained,
        "asked": asked,
        "right": right,
        "accuracy": right / asked,
        "seeds": [sum(draw.values()) / asked for draw in found.draws] if several else None,
        "interval": list(wilson_interval(right, asked)),
        "by_kind": {kind: [sum(shares), len(shares)] for kind, shares in sorted(kinds.items())},
        "peak_bytes": median(peak for peak, _ in held) if held else None,
        "working_bytes": median(peak - rest for peak, rest in held) if held else None,
        "position": summarise(batch.places for batch in found.batches),
        "error": unfairness(contender, retained, tokens, asked * len(found.draws), subject.num_layers),
    }


def _speed(times: dict[int, Timed], dense: dict[int, Timed]) -> Row:
    """Medians and quartiles over questions; ratios to dense are taken per question."""
    both = [(time, dense[number]) for number, time in times.items() if number in dense]

    row: Row = {}
    for part in ("prefill", "decode"):
        ratios = [getattr(time, part) / getattr(theirs, part) for time, theirs in both]
        row[f"{part}_ratio"] = median(ratios) if ratios else None
        row[f"{part}_ratio_quartiles"] = spread(ratios)["quartiles"] if len(ratios) > 1 else None
    for part in TIMED:
        taken = [1e3 * getattr(time, part) for time in times.values()]
        row[f"{part}_ms"] = median(taken)
        row[f"{part}_quartiles"] = spread(taken)["quartiles"] if len(taken) > 1 else None
    return {
        **row,
        "kv_bytes": mean(time.kv_bytes for time in times.values()),
        "flops": mean(time.flops for time in times.values()),
    }
