"""How long the language model takes: prefill and decode steps apart, without the vision tower."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from v2drop import get_adapter

TINY = 20_000_000  # weights: with fewer, a second thread costs more than it gains


class LanguageModelTimer:
    """Times each forward call of the inner model, less what its other parts (the vision tower) take; a context manager.

    Enter it after attaching v2drop: then all that v2drop does before and after the layers is counted.

    Attributes:
        seconds: one duration a forward call, the prefill first.
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
    """Seconds, once the devices have done what they were told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def threads_for(network: Any) -> int:
    """One thread for a tiny model on a CPU, torch's own number for others."""
    tiny = network.device.type == "cpu" and sum(weight.numel() for weight in network.parameters()) < TINY
    return 1 if tiny else torch.get_num_threads()


@contextmanager
def suitable_threads(network: Any) -> Iterator[int]:
    """Inside, torch uses as many threads as `threads_for` says; yields how many."""
    usual = torch.get_num_threads()
    torch.set_num_threads(threads_for(network))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(usual)
