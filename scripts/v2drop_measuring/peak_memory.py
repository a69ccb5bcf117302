"""The peak memory of a piece of work: of the GPU if there is one, otherwise of this process."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

import torch


class PeakMemory:
    """Context manager that measures the peak memory of its block.

    On a CPU it is the process's resident set, including libraries and weights; Linux keeps its high-water mark and can
    reset it. Freed memory is returned to the system first, or it would hide new allocations.

    Attributes:
        rest: bytes held before the block; None if this cannot be measured.
        peak: the most bytes held in the block; None if this cannot be measured.
    """

    def __init__(self) -> None:
        self.rest: int | None = None
        self.peak: int | None = None

    def __enter__(self) -> PeakMemory:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self.rest = torch.cuda.memory_allocated()
        elif sys.platform == "linux":
            _give_back()
            try:
                Path("/proc/self/clear_refs").write_text("5")
            except OSError:  # some containers forbid it
                return self
            self.rest = _resident("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        if torch.cuda.is_available():
            self.peak = torch.cuda.max_memory_allocated()
        elif self.rest is not None:
            self.peak = _resident("VmHWM")


def _resident(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), flags=re.M)
    assert found is not None
    return int(found[1]) * 1024


def _give_back() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
