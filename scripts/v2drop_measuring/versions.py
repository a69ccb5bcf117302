"""The versions that a measurement depends on."""

from __future__ import annotations

import platform

import torch

import v2drop


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    import transformers

    found = {"v2drop": v2drop.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    return {**found, "python": platform.python_version()}
