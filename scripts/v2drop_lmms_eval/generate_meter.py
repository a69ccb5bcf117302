"""Measures each generate call of a model, wherever lmms-eval makes it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

import v2drop
from v2drop_measuring.timing import LanguageModelTimer, now

from .cost_summary import Call


class Meter:
    """Replaces a model's `generate`.

    Attributes:
        calls: the cost of each call.
        failure: the last exception; lmms-eval's LLaVA logs it and continues with an empty answer.
    """

    def __init__(self, model: Any, attachment: v2drop.Attachment) -> None:
        self.calls: list[Call] = []
        self.failure: Exception | None = None
        self._model, self._attachment, self._generate = model, attachment, model.generate
        model.generate = self.generate

    def generate(self, **inputs: Any) -> Tensor:
        """Generate with the model's own `generate`, measured."""
        started = now()
        try:
            with LanguageModelTimer(self._model) as timer:
                tokens: Tensor = self._generate(**inputs)
        except Exception as error:
            self.failure = error
            raise
        mask = v2drop.get_adapter(self._model).vision_mask(self._model, inputs)
        report = self._attachment.report if mask is not None and mask.any() else None
        prompts, length = inputs["input_ids"].shape
        call = Call(
            prompts,
            sum(report.vision_tokens) if report else 0,
            report.retained if report else 1.0,
            tokens.shape[1] - length,
            now() - started,
            timer.seconds[0],
            sum(timer.seconds[1:]),
        )
        self.calls.append(call)
        return tokens
