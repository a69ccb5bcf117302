"""The records in a comparison's journal: what each contender answered, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeVar

from v2drop_measuring.journal import Journal


@dataclass(frozen=True)
class Record:
    """The questions from `start` on, asked of one model by one contender; `draw` numbers the seeds of random."""

    kind: ClassVar[str]

    model: str
    modality: str
    start: int
    method: str
    budget: float | None
    draw: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Tells it from all other records of a journal."""
        return self.kind, self.model, self.modality, self.start, self.method, self.budget, self.draw

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {"record": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Answered(Record):
    """Answers to a batch. It has no numbers if none of its pictures or videos could be read.

    Attributes:
        numbers: the numbers of its questions.
        retained: the share of vision tokens that were kept, averaged over layers.
        vision_tokens: of all samples together.
        peak, rest: bytes of memory, at most and before; None where that is not known.
        places: for each stage, counts of the kept tokens' positions; see `v2drop_measuring.position_bias`.
    """

    kind: ClassVar[str] = "batch"

    numbers: Sequence[int] = ()
    answers: Sequence[str] = ()
    right: Sequence[bool] = ()
    retained: float = 0.0
    vision_tokens: int = 0
    peak: int | None = None
    rest: int | None = None
    places: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Timed(Record):
    """One timed answer: seconds of prefill and of all decode steps, bytes and FLOPs; all 0 if its file could not be read."""

    kind: ClassVar[str] = "timed"

    prefill: float = 0.0
    decode: float = 0.0
    kv_bytes: float = 0
    flops: float = 0

    @property
    def was_read(self) -> bool:
        """Whether there is an answer at all."""
        return self.prefill > 0

    @property
    def total(self) -> float:
        """Seconds of the whole answer."""
        return self.prefill + self.decode


KINDS: Mapping[str, type[Record]] = {kind.kind: kind for kind in (Answered, Timed)}
Kind = TypeVar("Kind", bound=Record)


def read_records(journal: Journal) -> Iterator[Record]:
    """All records of contenders, in the order in which they were written."""
    for data in journal.records:
        kind = KINDS.get(data["record"])
        if kind is not None:
            yield kind(**{name: value for name, value in data.items() if name != "record"})


def records_of(
    journal: Journal, kind: type[Kind], model: str, modality: str, contender: tuple[str, float | None, int]
) -> list[Kind]:
    """The records of one contender, by its `Contender.key`, on one model, in the order of questions."""
    found = [
        record
        for record in read_records(journal)
        if isinstance(record, kind)
        and (record.model, record.modality) == (model, modality)
        and (record.method, record.budget, record.draw) == contender
    ]
    return sorted(found, key=lambda record: record.start)
