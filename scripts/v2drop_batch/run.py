"""One run: answers the remaining blocks and collects the rejected rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.progress import Progress

from v2drop_terminal.errors import CommandError

from .answerer import Settings
from .blocks import Block
from .inputs import Input
from .pool import answer_blocks, pool
from .report import Report
from .store import Store, Summary

GO_ON = "run the same command again to resume"


def run_batch(
    asked: Input,
    store: Store,
    settings: Settings,
    batch: int,
    actors: int | None,
    address: str | None,
    progress: Progress,
) -> Report:
    """Answer the blocks that the store lacks. Finished blocks survive an interruption.

    Raises:
        CommandError: Ray or an actor cannot be started, or some blocks could not be answered.
    """
    start = time.time()
    done = [block for block in asked.blocks if store.holds(block.number)]
    todo = [block for block in asked.blocks if not store.holds(block.number)]
    before, now, used = Summary(), Summary(), 0
    began: float | None = None  # the first block
    ended: float | None = None  # the last one
    for block in done:
        before += store.summary(block.number)
    bar = progress.add_task("starting", total=asked.rows, completed=before.answered + before.rejected)
    try:
        if todo:
            with pool(address, actors) as (used, gpus):
                failed = {}
                for result in answer_blocks(todo, settings, batch, store.folder, used, gpus):
                    if result["error"]:
                        failed[result["block"]] = result["error"]
                        continue
                    one = Summary(**result["summary"])
                    now += one
                    began, ended = min(began or result["began"], result["began"]), time.time()
                    progress.update(bar, description="answering", advance=one.answered + one.rejected)
                if failed:
                    raise CommandError(_told(todo, failed))
    except CommandError as error:
        raise CommandError(f"{error}; finished answers are saved: {GO_ON}") from error
    finally:
        store.write_rejected([block.number for block in asked.blocks if store.holds(block.number)])
    times = (began - start, ended - began) if began and ended else (None, None)
    return Report(asked.rows, before, now, used, *times)


def _told(blocks: Sequence[Block], failed: Mapping[int, str]) -> str:
    first = next(block for block in blocks if block.number in failed)
    where = f"{first.name or first.path}, lines {first.lines[0]} to {first.lines[-1]}"
    return f"{len(failed)} blocks could not be answered; the first, {where}: {failed[first.number]}"


def settings_of(settings: Settings, asked: Input, block: int) -> dict[str, object]:
    """The settings that a resumed run must share."""
    keep = settings.keep
    kept = {"retain": keep.retain, "schedule": keep.schedule and keep.schedule.to_dict()}
    plain = {name: value for name, value in asdict(settings).items() if name != "keep"}
    return {**plain, **kept, "questions": asked.content, "block": block}
