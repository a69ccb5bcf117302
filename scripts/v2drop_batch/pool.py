"""The pool of actors on Ray Data: on this machine, or on a running cluster."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from v2drop_terminal.errors import CommandError

from .actor import BlockActor
from .answerer import Settings
from .blocks import Block


@contextmanager
def pool(address: str | None, actors: int | None) -> Iterator[tuple[int, int]]:
    """Start Ray on this machine, with a core for each actor, or connect to it at an address.

    Yields:
        The number of actors, and the number of GPUs of each.

    Raises:
        CommandError: Ray does not start or does not run at the address, or there are too few cores or GPUs.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {"num_cpus": actors, "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # Ray has no error class for a node that did not start in time
        where = "on this machine" if address is None else f"at --address {address}"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CommandError(f"cannot reach Ray {where}: {reason}") from error
    try:
        found = ray.cluster_resources()
        cores, gpus = int(found.get("CPU", 0)), int(found.get("GPU", 0))
        actors = actors or gpus or 1
        if actors > cores or (gpus and actors > gpus):
            raise CommandError(f"--actors {actors}: there are {cores} cores and {gpus} GPUs, one of each per actor")
        yield actors, min(gpus, 1)
    finally:
        ray.shutdown()


def answer_blocks(
    blocks: Sequence[Block], settings: Settings, batch: int, folder: Path, actors: int, gpus: int
) -> Iterator[dict[str, Any]]:
    """The result of `BlockActor` for each block, as soon as it is done.

    Raises:
        CommandError: an actor cannot be started.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it logs errors that are raised anyway
    items = ray.data.from_items([{"block": pickle.dumps(block)} for block in blocks], override_num_blocks=len(blocks))
    done = items.map(
        BlockActor,
        fn_constructor_args=(settings, batch, folder),
        compute=ActorPoolStrategy(size=actors),
        num_cpus=1,
        **({"num_gpus": gpus} if gpus else {}),
    )  # Ray restarts actors that died, and gives them their block again
    try:
        yield from done.iter_rows()
    except ray.exceptions.RayError as error:
        reason = (
            str(error).strip().splitlines()[-1].removeprefix(f"{CommandError.__module__}.{CommandError.__name__}: ")
        )
        raise CommandError(f"the actors failed: {reason}") from error
