"""Counts operations that make a program wait for a device: reads of tensor values, and shapes that depend on values."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode

READS = {
    "item", "tolist", "cpu", "numpy", "nonzero", "masked_select", "__bool__", "__int__", "__float__", "__index__", "__iter__",
}  # fmt: skip


class HostReads(TorchFunctionMode):
    """A context manager; `count` is the number of reads inside."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in READS or (name in {"__getitem__", "__setitem__"} and self._picks_by_value(args[1])):
            self.count += 1
        return function(*args, **(kwargs or {}))

    @staticmethod
    def _picks_by_value(index):
        parts = index if isinstance(index, tuple) else (index,)
        return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)
