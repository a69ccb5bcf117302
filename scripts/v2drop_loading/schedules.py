"""Which schedule a method gets on a model: the one answer of all commands and of the lmms-eval plug-in."""

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
USUAL = 1 / 3  # the budget where nobody asks for one and the model recommends none


@dataclass(frozen=True)
class Decoder:
    """How many decoder layers a model has, and the first of them before which tokens may be dropped."""

    layers: int
    first_stage: int = 1

    @classmethod
    def of(cls, model: Any, adapter: Adapter) -> Decoder:
        """A model's. Its weights are not read, so it may stand on the meta device."""
        return cls(len(adapter.decoder_layers(model)), adapter.first_stage(model))


@dataclass(frozen=True)
class Keep:
    """How much is to stay: a budget at a method's own cuts, a schedule whatever the method, or neither of them."""

    retain: float | None = None
    schedule: Schedule | None = None


def read_keep(
    preset: str | None = None,
    retain: float | None = None,
    stages: str | None = None,
    file: Path | None = None,
    budget: str = "--retain",
) -> Keep:
    """What the options ask for.

    Args:
        preset, retain, stages, file: of `--preset`, `--retain`, `--stages` and `--schedule`, at most one.
        budget: what `retain` is called where it is asked for, as messages quote it.

    Raises:
        CommandError: several of them, a text that holds no stages, or a file that cannot be read.
        ScheduleError: what `Schedule` refuses.
    """
    check_one({"--preset": preset, budget: retain, "--stages": stages, "--schedule": file})
    if preset is not None:
        return Keep(schedule=Schedule.preset(preset))
    if stages is not None:
        return Keep(schedule=parse_stages(stages))
    return Keep(retain, None if file is None else read_schedule(file))


def check_one(options: Mapping[str, object]) -> None:
    """Raise CommandError where more than one of these options is given."""
    said = [f"{option} {value}" for option, value in options.items() if value is not None]
    if len(said) > 1:
        raise CommandError(f"{said[0]} and {said[1]} contradict each other: pass one of the two")


def budgets_of(retain: Sequence[str]) -> list[float]:
    """The budgets in the order given, each once. Raises CommandError for what is no number."""
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

    A schedule that was asked for is every method's. For a budget, methods whose authors say where to cut do so; V2Drop and
    those that cut where it does, random and uniform, cut where the model recommends it. Without a budget they take the
    recommended schedule as it is, the others its budget at their own cuts. Dense never cuts.

    Args:
        recommended: of the model's v2drop.json, if it has one.

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
    """Read "3:0.5,17:0.3,22:0", or the same with + in place of commas, which lmms-eval's --model_args do not take."""
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
            f"{path} is not a schedule: it is no JSON; write it with v2drop schedule --json > {path.name}"
        ) from error
    return Schedule.from_dict(data)


def _number(text: str) -> float:
    """A layer, as an int where it is one: Schedule says what is wrong with 3.5."""
    return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else float(text)
