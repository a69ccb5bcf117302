"""Report of a run: rows, tokens and speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .store import REJECTED, Store, Summary


@dataclass(frozen=True)
class Report:
    """The report of a finished run.

    Attributes:
        rows: rows of the input.
        before: summary of earlier runs.
        now: summary of this run.
        actors: number of actors.
        starting: seconds until the first actor began its first block; None if there was nothing to do.
        working: seconds from then on.
    """

    rows: int
    before: Summary
    now: Summary
    actors: int
    starting: float | None
    working: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain data. Speeds are those of this run, from the start of the first block on."""
        total = self.before + self.now
        speed = 0.0 if not self.working else 1 / self.working
        done = self.now.answered + self.now.rejected
        return {
            "rows": self.rows,
            "answered": total.answered,
            "rejected": total.rejected,
            "rows_before": self.before.answered + self.before.rejected,
            "retained": total.tokens_kept / total.vision_tokens if total.vision_tokens else None,
            "actors": self.actors,
            "starting_seconds": self.starting,
            "working_seconds": self.working,
            "rows_per_second": done * speed if speed else None,
            "answer_tokens_per_second": self.now.answer_tokens * speed if speed else None,
            "prompt_tokens_per_second": self.now.prompt_tokens * speed if speed else None,
        }


def print_report(console: Console, report: Report, store: Store) -> None:
    """Print the report as a table."""
    data = report.to_dict()
    table = Table(show_header=False)
    done = f"{data['answered']:,} of {data['rows']:,}"
    table.add_row("answered", done + (f", {data['rows_before']:,} rows before" if data["rows_before"] else ""))
    where = f", in {store.folder / REJECTED}" if data["rejected"] else ""
    table.add_row("rejected", Text(f"{data['rejected']:,}{where}"))
    if data["retained"] is not None:
        table.add_row("retained", f"{data['retained']:.1%} of the vision tokens, averaged over layers")
    if data["working_seconds"] is not None:
        tokens = f"{data['answer_tokens_per_second']:.1f} of answers, {data['prompt_tokens_per_second']:.0f} of prompts"
        actors = f"{data['actors']} actor{'s' * (data['actors'] != 1)}"
        table.add_row("rows/s", f"{data['rows_per_second']:.1f}")
        table.add_row("tokens/s", tokens)
        table.add_row(
            "seconds", f"{data['working_seconds']:.1f} after {data['starting_seconds']:.1f} to start {actors}"
        )
    console.print(table)
    console.print(f"answers: {store.answers}", soft_wrap=True, markup=False)
