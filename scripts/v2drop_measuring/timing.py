"""Times the language model: prefill and decode steps separately, without the vision tower."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from v2drop import get_adapter

TINY = 20_000_000  # weights: with fewer, a second thread costs more than it saves


class LanguageModelTimer:
    """Context manager that times each forward call of the inner model, minus its other parts (the vision tower).

    Enter it after attaching v2drop, so that all its work before and after the layers is counted.

    Attributes:
        seconds: one duration per forward call, the prefill first.
    """

    def __init__(self, model: nn.Module) -> None:
        adapter = get_adapter(model)
        self._inner = adapter.inner_model(model)
        first = adapter.decoder_layers(model)[0]
        self._others = [
            part for part in self._inner.children() if not any(module is first for module in part.modules())
        ]
        self._started, self._elsewhere = 0.0, 0.0
        self.seconds: list[float] = []

    def __enter__(self) -> LanguageModelTimer:
        self._hooks = [
            self._inner.register_forward_pre_hook(lambda *_: self._start(), prepend=True),
            self._inner.register_forward_hook(lambda *_: self._stop()),
        ]
        for part in self._others:
            self._hooks.append(part.register_forward_pre_hook(lambda *_: self._leave()))
            self._hooks.append(part.register_forward_hook(lambda *_: self._return()))
        return self

    def __exit__(self, *exception: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self) -> None:
        self._elsewhere, self._started = 0.0, now()

    def _stop(self) -> None:
        self.seconds.append(now() - self._started - self._elsewhere)

    def _leave(self) -> None:
        self._elsewhere -= now()

    def _return(self) -> None:
        self._elsewhere += now()


def now() -> float:
    """The time in seconds, once the GPU has finished its queued work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def threads_for(network: Any) -> int:
    """One thread for a tiny model on a CPU, otherwise torch's current number."""
    tiny = network.device.type == "cpu" and sum(weight.numel() for weight in network.parameters()) < TINY
    return 1 if tiny else torch.get_num_threads()


@contextmanager
def suitable_threads(network: Any) -> Iterator[int]:
    """Inside the block, torch uses the number of threads that `threads_for` returns; yields that number."""
    usual = torch.get_num_threads()
    torch.set_num_threads(threads_for(network))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(usual)
