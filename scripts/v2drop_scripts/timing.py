"""How long the language model takes: prefill and decode steps apart, without the vision tower."""

from __future__ import annotations

import time
from types import TracebackType

import torch
from torch import nn

from v2drop import get_adapter


class LanguageModelTimer:
    """Times each forward call from the input of decoder layer 0 to the inner model's output; a context manager.

    Enter it before attaching v2drop: then its start hook runs before v2drop's, and scoring and dropping are counted.

    Attributes:
        seconds: one duration a forward call, the prefill first.
    """

    def __init__(self, model: nn.Module) -> None:
        adapter = get_adapter(model)
        self._first, self._inner = adapter.decoder_layers(model)[0], adapter.inner_model(model)
        self._started = 0.0
        self.seconds: list[float] = []

    def __enter__(self) -> LanguageModelTimer:
        self._hooks = [
            self._first.register_forward_pre_hook(lambda *_: self._start()),
            self._inner.register_forward_hook(lambda *_: self._stop()),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self) -> None:
        _synchronize()
        self._started = time.perf_counter()

    def _stop(self) -> None:
        _synchronize()
        self.seconds.append(time.perf_counter() - self._started)


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
