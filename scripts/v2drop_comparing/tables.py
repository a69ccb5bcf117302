"""The content of a comparison's tables, wherever they are shown: columns, texts, and the legend below them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from v2drop_loading.methods import BASELINE
from v2drop_measuring.rounds import UNCLEAR, WIDEST, clear_ratio

from .results import MEASURED
from .tasks import subject_title

Row = dict[str, Any]
MOST_KINDS = 6  # columns: more would not fit a screen or a page
WHO, KNOWN, TAKEN = "who", "what it knew", "what it took"  # groups of columns: one table would be too wide for a screen
LEGEND = """retained: measured share of vision tokens, averaged over layers; each cut rounds down to whole tokens. Intervals are
95 %: Wilson's for a share, Bonett and Price's for the ratio of two shares on the same questions. p: exact two-sided
McNemar test on the same questions; for several seeds of random, p is the median and the share of right answers the
mean. Times are the language model's without its head, on single questions: medians, ± half the distance between
quartiles; decode is {decode} steps; {unclear}: only one question, or quartiles of a ratio more than {widest:.0%} apart.
Peak: the most memory held during a batch, median; working: peak minus memory held at rest. KV and FLOPs: of one
question's prefill, without scoring. Place: mean position of the kept tokens in the sequence of vision tokens, from 0
(first) to 1 (last), over the stages; without a position bias it is about 0.5."""


@dataclass(frozen=True)
class Column:
    """A column of the table of rows: its heading, its text for a row, and its group."""

    heading: str
    text: Callable[[Row], str]
    group: str


@dataclass(frozen=True)
class Table:
    """A table as texts."""

    headings: list[str]
    rows: list[list[str]]


def columns(results: dict[str, Any]) -> list[Column]:
    """The columns of a comparison's rows, except the model."""
    against = results.get("against")
    asked_for = (
        [] if against in (None, BASELINE) else [Column(f"p against {against}", _number("p_against", ".2g"), KNOWN)]
    )
    return [
        Column("method", lambda row: row["method"], WHO),
        Column("budget", _number("budget", ".3f"), WHO),
        Column("retained", _number("retained", ".3f"), KNOWN),
        Column("right", _number("accuracy", ".1%"), KNOWN),
        Column("95 % interval", _interval("interval"), KNOWN),
        Column("of dense", _number("of_dense", ".1%"), KNOWN),
        Column("95 % interval of it", _interval("of_dense_interval"), KNOWN),
        Column("p against random", _number("p_random", ".2g"), KNOWN),
        *asked_for,
        Column("place", lambda row: "-" if row["position"] is None else f"{row['position']['mean']:.3f}", KNOWN),
        Column("prefill, ms", _time("prefill"), TAKEN),
        Column("decode, ms", _time("decode"), TAKEN),
        Column("total, ms", _time("total"), TAKEN),
        Column("prefill / dense", _ratio("prefill"), TAKEN),
        Column("decode / dense", _ratio("decode"), TAKEN),
        Column("peak, MB", _number("peak_bytes", ".0f", 1e-6), TAKEN),
        Column("working, MB", _number("working_bytes", ".1f", 1e-6), TAKEN),
        Column("KV, kB", _number("kv_bytes", ".0f", 1e-3), TAKEN),
        Column("MFLOPs", _number("flops", ".0f", 1e-6), TAKEN),
    ]


def _number(name: str, pattern: str, scale: float = 1.0) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else format(row[name] * scale, pattern)


def _interval(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else "{:.1%} - {:.1%}".format(*row[name])


def _time(part: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        if row[f"{part}_ms"] is None:
            return "-"
        quartiles = row[f"{part}_quartiles"]
        around = "" if quartiles is None else f" ± {(quartiles[1] - quartiles[0]) / 2:.1f}"
        return f"{row[f'{part}_ms']:.1f}{around}"

    return text


def _ratio(part: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        ratio = row[f"{part}_ratio"]
        return "-" if ratio is None else clear_ratio(ratio, row[f"{part}_ratio_quartiles"])

    return text


def shown_rows(results: dict[str, Any]) -> list[Row]:
    """The rows shown in tables: measured, or of dashes if the method's cuts cannot reach the budget.

    Fields that results of an earlier release lack are None.
    """
    rows = [{**dict.fromkeys((*MEASURED, "unreachable")), **row} for row in results["rows"]]
    return [row for row in rows if row["accuracy"] is not None or row["unreachable"] is not None]


def by_model(results: dict[str, Any]) -> dict[str, list[Row]]:
    """The shown rows of each model, by its title."""
    rows = shown_rows(results)
    return {title: [row for row in rows if title_of(row) == title] for title in dict.fromkeys(map(title_of, rows))}


def title_of(row: Row) -> str:
    """The title of a row's model, with what it was asked about."""
    return subject_title(row["model"], row["modality"])


def group_of(results: dict[str, Any], rows: Sequence[Row], group: str) -> Table:
    """Rows of one model with the columns of a group, `KNOWN` or `TAKEN`."""
    asked = [column for column in columns(results) if column.group in (WHO, group)]
    return Table([column.heading for column in asked], [[column.text(row) for column in asked] for row in rows])


def all_numbers(results: dict[str, Any]) -> Table:
    """All rows with all columns."""
    asked = columns(results)
    rows = [[title_of(row), *(column.text(row) for column in asked)] for row in shown_rows(results)]
    return Table(["model", *(column.heading for column in asked)], rows)


def right_by_kind(rows: Sequence[Row]) -> list[Table]:
    """The share of right answers in one model's rows by kind of question, `MOST_KINDS` kinds per table.

    There are no tables if all questions are of one kind.
    """
    measured = [row for row in rows if row["by_kind"] is not None]
    kinds = kinds_of(measured)
    if len(kinds) < 2:
        return []
    budget = _number("budget", ".3f")
    tables = []
    for start in range(0, len(kinds), MOST_KINDS):
        some = kinds[start : start + MOST_KINDS]
        texts = [[row["method"], budget(row), *(_share(row["by_kind"].get(kind)) for kind in some)] for row in measured]
        tables.append(Table(["method", "budget", *some], texts))
    return tables


def kinds_of(rows: Iterable[Row]) -> list[str]:
    """The kinds of question in the rows, in alphabetical order."""
    return sorted({kind for row in rows for kind in row["by_kind"] or ()})


def _share(counts: tuple[float, int] | None) -> str:
    return "-" if not counts or not counts[1] else f"{counts[0] / counts[1]:.1%}"


def count_of_questions(results: dict[str, Any]) -> str:
    """How many questions each model was asked."""
    most, fewest = results["task"]["questions"], results["task"].get("fewest", results["task"]["questions"])
    plural = "s" * (most != 1)
    return f"{most} question{plural}" if most == fewest else f"{fewest} to {most} questions per model"


def unreached(results: dict[str, Any]) -> list[str]:
    """Why some rows hold dashes."""
    return [
        f"{title_of(row)}: {row['method']} at {row['budget']:g}: {row['unreachable']}"
        for row in results["rows"]
        if row.get("unreachable")
    ]


def legend() -> str:
    """What the columns mean."""
    from v2drop_comparing.latency import NEW_TOKENS

    return LEGEND.format(decode=NEW_TOKENS - 1, unclear=UNCLEAR, widest=WIDEST)


def problems(results: dict[str, Any]) -> list[str]:
    """What did not run as asked: methods and budgets with their reasons, failed models, and skipped lines."""
    found = []
    for row in results["rows"]:
        if row["error"]:
            who = f"{row['method']} at {row['budget']:g}" if row["budget"] is not None else row["method"]
            found.append(f"{title_of(row)}: {who}: {row['error']}")
    found += [f"{title_of(each)}: {each['reason']}" for each in results.get("failed", ())]
    return found + [f"{line['file']}, line {line['line']}: {line['reason']}" for line in results["skipped"]]
