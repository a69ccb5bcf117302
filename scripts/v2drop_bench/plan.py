"""What `v2drop bench` measures: geometries, lengths, batches and methods, checked before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch

from v2drop import Schedule, ScheduleError, methods
from v2drop_loading.defaults import DTYPES
from v2drop_loading.methods import find_method
from v2drop_loading.schedules import Decoder, Keep, choose_schedule
from v2drop_measuring.rounds import exponent
from v2drop_terminal.errors import CommandError

from .geometries import Geometry, materialise
from .measure import measure
from .memory import check_memory
from .prompt import Length, Prompt

ALL = "all"


class Plan:
    """What is measured at one geometry: the schedule of each method, and why other methods cannot reach the budget."""

    def __init__(
        self,
        geometry: Geometry,
        tokens: Sequence[str] | None,
        batches: Sequence[int],
        schedules: dict[str, Schedule],
        unreachable: dict[str, str],
    ) -> None:
        self.geometry, self.schedules, self.unreachable = geometry, schedules, unreachable
        lengths = list(dict.fromkeys(Length.parse(text) for text in tokens or geometry.lengths))
        self._shapes = list(product(lengths, dict.fromkeys(batches)))
        self.cases = len(self._shapes)

    def check(self, device: str, dtype: str) -> None:
        """Raise CommandError if it does not fit into memory."""
        rows = max(length.sequence * batch for length, batch in self._shapes)
        what = f"{self.geometry.name} with hidden size {self.geometry.hidden} in {dtype}"
        ideals = sum(
            1 + len(schedule.stages) for schedule in self.schedules.values()
        )  # stored inputs, of all ideals at once
        check_memory(self.geometry.on_meta(getattr(torch, dtype)), rows, device, what, ideals)

    def run(self, device: str, dtype: str, rounds: int, tick: Any) -> dict[str, Any]:
        """Build the model, measure all lengths and batches, and release it."""
        model = materialise(self.geometry.on_meta(getattr(torch, dtype)), device)
        rows = []
        for length, batch in self._shapes:
            rows += measure(model, Prompt(model, length, batch), self.schedules, rounds, tick)
        return {
            "geometry": self.geometry.name,
            "layers": self.geometry.layers,
            "hidden": self.geometry.hidden,
            "heads": self.geometry.heads,
            "kv_heads": self.geometry.kv_heads,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "device": device,
            "dtype": dtype,
            "rows": rows,
            "growth": growth(rows),
            "unreachable": self.unreachable,
        }


def growth(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each method and batch measured at several lengths, the power of all tokens that its cost grows with."""
    found = []
    for method, batch in dict.fromkeys((row["method"], row["batch"]) for row in rows):
        group = sorted(
            (row for row in rows if (row["method"], row["batch"]) == (method, batch)), key=lambda row: row["sequence"]
        )
        sequences = [row["sequence"] for row in group]
        if len(set(sequences)) < 2:
            continue
        costs = {
            way: [row["seconds"][way]["prefill"]["median"] for row in group] for way in ("dense", "dropped", "ideal")
        }
        costs |= {f"{way} FLOPs": [row["flops"][way] for row in group] for way in ("dense", "dropped")}
        exponents = {name: exponent(sequences, values) for name, values in costs.items()}
        found.append({"method": method, "batch": batch, "sequences": sequences, "exponents": exponents})
    return found


def schedules_of(
    names: Sequence[str], decoder: Decoder, keep: Keep, every: bool
) -> tuple[dict[str, Schedule], dict[str, str]]:
    """The schedule of each method, and for the others why their cuts cannot reach the budget.

    Args:
        every: all methods were asked for, so some may be left out.

    Raises:
        ScheduleError: a named method cannot reach the budget, or no method that drops tokens can.
    """
    schedules: dict[str, Schedule] = {}
    unreachable: dict[str, str] = {}
    for name in names:
        try:
            schedules[name] = choose_schedule(name, decoder, keep, None)
        except ScheduleError as error:
            unreachable[name] = str(error)
            if not every:
                raise
    if unreachable and not any(schedule.stages for schedule in schedules.values()):
        raise ScheduleError(next(iter(unreachable.values())))
    return schedules, unreachable


def find_methods(names: Sequence[str]) -> list[str]:
    """Methods by name, or all of them. Raises MethodError for an unknown name."""
    chosen = list(methods()) if ALL in names else list(dict.fromkeys(names))
    for name in chosen:
        find_method(name)
    return chosen


def find_devices(names: Sequence[str]) -> list[str]:
    """Devices by name. Raises CommandError for a device that does not exist."""
    for name in names:
        index = name.removeprefix("cuda").removeprefix(":") or "0"
        known = name == "cpu" or (
            name.startswith("cuda") and index.isdigit() and int(index) < torch.cuda.device_count()
        )
        if not known:
            raise CommandError(f"no device {name!r}: there are cpu and {torch.cuda.device_count()} CUDA devices")
    return list(dict.fromkeys(names))


def find_dtypes(names: Sequence[str]) -> list[str]:
    """Dtypes by name. Raises CommandError for an unknown one."""
    for name in names:
        if name not in DTYPES:
            raise CommandError(f"--dtype {name!r}: use one of {', '.join(DTYPES)}")
    return list(dict.fromkeys(names))
