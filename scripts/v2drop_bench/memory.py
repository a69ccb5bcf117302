"""Estimates the memory of a measurement, and refuses it before anything is built if there is too little."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from v2drop import get_adapter
from v2drop.cost import layer_kv_bytes
from v2drop_terminal.errors import CommandError


def bytes_needed(model: Any, rows: int, inputs: int = 0) -> int:
    """Bytes that a model and its largest prefill need: weights, the dense KV cache, a layer's activations, and inputs.

    Args:
        model: may be on the meta device.
        rows: samples x tokens of the largest prefill.
        inputs: the number of additional layer inputs stored, each counted as if it held all rows.
    """
    weights = sum(part.numel() * part.element_size() for part in (*model.parameters(), *model.buffers()))
    dimensions = get_adapter(model).dimensions(model)
    size = model.dtype.itemsize
    cache = layer_kv_bytes(dimensions, rows, size) * dimensions.num_layers
    activations = rows * (3 * dimensions.intermediate_size + 8 * dimensions.hidden_size) * size
    return int(weights + cache + activations + inputs * rows * dimensions.hidden_size * size)


def check_memory(model: Any, rows: int, device: str, what: str, inputs: int = 0) -> None:
    """Raise CommandError if `device` has less free memory than needed; `what` names the model in the message."""
    needed, free = bytes_needed(model, rows, inputs), bytes_free(device)
    if free is not None and needed > free:
        raise CommandError(
            f"{what} needs {needed:,} bytes ({needed / 1e9:.1f} GB), but {free:,} ({free / 1e9:.1f} GB) are free on {device}: "
            "pass a smaller --hidden or --dtype, or fewer --layers, --tokens or --batch-size"
        )


def bytes_free(device: str) -> int | None:
    """Bytes of memory still available; None if unknown."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    told = [value for value in (_linux_available(), _container_limit()) if value is not None]
    return min(told) if told else _physical()


def _linux_available() -> int | None:
    table = Path("/proc/meminfo")
    for line in table.read_text().splitlines() if table.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container_limit() -> int | None:
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    text = limit.read_text().strip() if limit.exists() else "max"
    return None if text == "max" else int(text) - int(used.read_text())


def _physical() -> int | None:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
