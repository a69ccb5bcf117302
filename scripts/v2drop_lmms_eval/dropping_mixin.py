"""Shared by the models here: attaches v2drop once lmms-eval has loaded the model, measures answers and saves them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import Instance
from lmms_eval.models.model_utils.gen_metrics import log_metrics, reset_logged_metrics

import v2drop
from v2drop_loading.checkpoints import find_checkpoint
from v2drop_loading.methods import find_method
from v2drop_loading.schedules import Decoder
from v2drop_measuring.journal import Journal
from v2drop_measuring.peak_memory import PeakMemory
from v2drop_measuring.versions import versions

from .choices import Choice
from .cost_summary import of_records, of_schedule
from .fail_fast import failing_loudly
from .generate_meter import Meter
from .request_keys import Answer, answer_of, keys_of, private_copy, result_of

CHUNK = 16  # minimum number of prompts per line of the journal


class Dropping:
    """A mixin for lmms-eval's models: takes our options out of `--model_args` and passes the others on.

    Args:
        pretrained: a zoo model, a folder, or an id on the hub.
        method: the dropping method; "dense" drops nothing.
        preset: a published schedule.
        retained: the share of vision tokens to keep, averaged over layers.
        stages: a schedule, as "3:0.5+17:0.3+22:0".
        schedule: a schedule file, as `v2drop schedule --json` prints it. At most one of these four may be given. By
            default it is what the model's v2drop.json recommends, or its budget at the method's own cuts, else a third.
        journal: a folder for answers, from which a killed run resumes.
        device: by default "cuda" if available, else "cpu". On a CPU models run in float32.
        others: the options of lmms-eval's model.
    """

    def __init__(
        self,
        pretrained: str,
        method: str = "v2drop",
        preset: str | None = None,
        retained: float | None = None,
        stages: str | None = None,
        schedule: str | None = None,
        journal: str | None = None,
        device: str | None = None,
        **others: Any,
    ) -> None:
        with failing_loudly():
            checkpoint = find_checkpoint(pretrained)
            device = device or ("cuda" if torch.cuda.is_available() else "cpu")
            if device == "cpu":
                others.setdefault("device_map", "cpu")  # otherwise lmms-eval looks for a GPU for each process
            super().__init__(pretrained=checkpoint.source, device=device, **others)  # type: ignore[call-arg]
            model = self.model  # type: ignore[attr-defined]
            if device == "cpu":
                model.float()
            decoder = Decoder.of(model, v2drop.get_adapter(model))
            self.schedule = Choice(method, preset, retained, stages, schedule).schedule_on(checkpoint, decoder)
            self._meter = Meter(model, v2drop.attach(model, self.schedule, method=find_method(method)))
            rank, processes = (os.environ.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
            folder = None if journal is None else Path(journal) / f"process-{rank}"
            asked = {"pretrained": pretrained, "method": method, "schedule": self.schedule.to_dict(), **others}
            self._journal = Journal(folder, {**asked, "processes": processes, "versions": versions()})

    def generate_until(self, requests: Sequence[Instance]) -> list[Answer]:
        """Answers in the order of the requests. A failure ends the process."""
        with failing_loudly():
            known = {key: answer for record in self._journal.records for key, answer in record["answers"]}
            keys = keys_of(requests)
            todo = [(key, request) for key, request in zip(keys, requests, strict=True) if key not in known]
            step = self.batch_size * -(-CHUNK // self.batch_size)  # type: ignore[attr-defined]
            for start in range(0, len(todo), step):
                part = todo[start : start + step]
                with PeakMemory() as memory:
                    found = super().generate_until([private_copy(request) for _, request in part])  # type: ignore[misc]
                if self._meter.failure is not None:
                    raise self._meter.failure
                answers = [(key, answer_of(each)) for (key, _), each in zip(part, found, strict=True)]
                calls = [asdict(call) for call in self._meter.calls]
                self._meter.calls.clear()
                self._journal.add({"answers": answers, "calls": calls, "peak": memory.peak})
                known.update(answers)
            self._report()
            return [result_of(known[key]) for key in keys]

    def clean(self) -> None:
        """Release the model, as lmms-eval does to make room for a judge model."""
        del self._meter
        super().clean()  # type: ignore[misc]

    def _report(self) -> None:
        """Log the metrics of all answers so far to lmms-eval, which writes them to `throughput` in its results.

        The metrics that its own model logged are reset, since they count the same calls.
        """
        figures = of_records(self._journal.records)
        seconds = figures["prompts"] * figures["answer_ms"] / 1e3
        tokens = round(figures["prompts"] * figures["new_tokens"])
        speed = tokens / seconds if seconds else 0.0
        reset_logged_metrics()
        log_metrics(seconds, tokens, speed, {**figures, **of_schedule(self.schedule)})
