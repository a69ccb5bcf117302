"""Chooses a method's schedule on a model, for all commands and the lmms-eval plug-in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2drop import Adapter, Method, Schedule
from v2drop_terminal.errors import CommandError

from .methods import find_method

DENSE = "dense"
USUAL = 1 / 3  # the budget if none is given and the model recommends none


@dataclass(frozen=True)
class Decoder:
    """The number of decoder layers of a model, and the first layer before which tokens may be dropped."""

    layers: int
    first_stage: int = 1

    @classmethod
    def of(cls, model: Any, adapter: Adapter) -> Decoder:
        """Read from a model. Its weights are not read, so it may be on the meta device."""
        return cls(len(adapter.decoder_layers(model)), adapter.first_stage(model))


@dataclass(frozen=True)
class Keep:
    """How much to keep: a budget at a method's own cuts, one schedule for any method, or neither."""

    retain: float | None = None
    schedule: Schedule | None = None


def read_keep(
    preset: str | None = None,
    retain: float | None = None,
    stages: str | None = None,
    file: Path | None = None,
    budget: str = "--retain",
) -> Keep:
    """Read the options that say how much to keep.

    Args:
        preset, retain, stages, file: the values of `--preset`, `--retain`, `--stages` and `--schedule`, at most one.
        budget: the name of the option for `retain`, as messages quote it.

    Raises:
        CommandError: several options, invalid `stages`, or a file that cannot be read.
        ScheduleError: an invalid schedule.
    """
    check_one({"--preset": preset, budget: retain, "--stages": stages, "--schedule": file})
    if preset is not None:
        return Keep(schedule=Schedule.preset(preset))
    if stages is not None:
        return Keep(schedule=parse_stages(stages))
    return Keep(retain, None if file is None else read_schedule(file))


def check_one(options: Mapping[str, object]) -> None:
    """Raise CommandError if more than one of these options is given."""
    said = [f"{option} {value}" for option, value in options.items() if value is not None]
    if len(said) > 1:
        raise CommandError(f"{said[0]} and {said[1]} contradict each other: pass one of the two")


def budgets_of(retain: Sequence[str]) -> list[float]:
    """The budgets in the order given, without duplicates. Raises CommandError for anything that is not a number."""
    budgets = []
    for text in re.split(r"[,\s]+", " ".join(retain).strip()):
        try:
            budget = float(text)
        except ValueError:
            budget = math.nan
        if not math.isfinite(budget):
            raise CommandError(f"--retain {text!r}: a share of vision tokens is a number, such as 0.333")
        budgets.append(budget)
    return list(dict.fromkeys(budgets))


def choose_schedule(method: str | Method, decoder: Decoder, keep: Keep, recommended: Schedule | None) -> Schedule:
    """The schedule of a method on a model.

    A given schedule applies to every method. For a budget, methods whose authors say where to cut do so; V2Drop, random
    and uniform cut where the model recommends it. Without a budget, these three take the recommended schedule as it is,
    and the others its budget at their own cuts. Dense never cuts.

    Args:
        recommended: the schedule in the model's v2drop.json, if it has one.

    Raises:
        MethodError: an unknown method.
        ScheduleError: a budget that the cuts cannot reach, or a schedule that does not fit the model.
    """
    chosen = find_method(method) if isinstance(method, str) else method
    if chosen.name == DENSE:
        return Schedule([])
    if keep.schedule is not None:
        schedule = keep.schedule
    elif recommended is None or chosen.depths is not None:
        usual = USUAL if recommended is None else recommended.retained(decoder.layers)
        schedule = chosen.schedule(decoder.layers, usual if keep.retain is None else keep.retain, decoder.first_stage)
    elif keep.retain is not None:
        schedule = Schedule.for_budget(decoder.layers, keep.retain, [stage.layer for stage in recommended.stages])
    else:
        schedule = recommended
    schedule.check_depth(decoder.layers, decoder.first_stage)
    return schedule


def parse_stages(text: str) -> Schedule:
    """Parse "3:0.5,17:0.3,22:0". A + may replace each comma, as lmms-eval's --model_args cannot hold commas."""
    stages = []
    for part in re.split(r"[,+]", text):
        layer, colon, keep = part.strip().partition(":")
        try:
            if not colon:
                raise ValueError
            stages.append((_number(layer), float(keep)))
        except ValueError:
            raise CommandError(
                f"--stages {text!r}: {part.strip()!r} is not a stage; pass LAYER:KEEP pairs, such as "
                "'3:0.5,17:0.3,22:0'; see v2drop docs schedules"
            ) from None
    return Schedule(stages)


def read_schedule(path: Path) -> Schedule:
    """Read a schedule from the JSON of `v2drop schedule --json` or of `Schedule.to_dict`."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(
            f"{path} is not a schedule: it is not JSON; write it with v2drop schedule --json > {path.name}"
        ) from error
    return Schedule.from_dict(data)


def _number(text: str) -> float:
    """Parse a layer, as an int if possible: Schedule reports what is wrong with 3.5."""
    return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else float(text)
