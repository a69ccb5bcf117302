"""The transformers releases that v2drop was tested on, and what `attach` does on a newer one."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

from .adapter import Adapter
from .errors import UnsupportedModelError, UntestedReleaseWarning
from .self_check import self_check

TESTED: tuple[str, ...] = (
    "5.0.0", "5.2.0", "5.4.0", "5.6.2", "5.9.0", "5.13.1", "5.16.1", "5.18.0", "5.21.1", "5.24.0",
)  # fmt: skip
"""Releases on which all adapter and core tests passed, ascending. CI always tests the first and the last."""

ALLOW = "V2DROP_ALLOW_UNTESTED"  # if set to 1, a failed self-check only warns

_checked: set[tuple[str, type]] = set()


def check_release(model: Any, adapter: Adapter) -> None:
    """Check whether v2drop was tested on the installed release of transformers.

    On a newer one, the first model of each layer class gets a self-check: in a tiny copy of its language model,
    dropping must equal masking. One warning says which releases were tested.

    Raises:
        UnsupportedModelError: the release is older than the oldest tested one, or a self-check failed.
    """
    release = str(getattr(sys.modules.get("transformers"), "__version__", TESTED[-1]))
    span = f"v2drop was tested on transformers {TESTED[0]} to {TESTED[-1]}"
    if _numbers(release) < _numbers(TESTED[0]):
        raise UnsupportedModelError(f"transformers {release} is installed: {span}; see v2drop docs models")
    kind = type(adapter.decoder_layers(model)[0])
    if _numbers(release) <= _numbers(TESTED[-1]) or (release, kind) in _checked:
        return
    first = not any(version == release for version, _ in _checked)
    try:
        self_check(model, adapter)
        outcome = f"a self-check of {kind.__name__} passed"
    except Exception as failure:  # whatever a release changed
        refusal = (
            f"transformers {release} is installed: {span}, and a self-check of {kind.__name__} failed "
            f"({type(failure).__name__}: {failure}). Install transformers<={TESTED[-1]} or a newer v2drop; {ALLOW}=1 attaches "
            "anyway; see v2drop docs models"
        )
        if os.environ.get(ALLOW) != "1":
            raise UnsupportedModelError(refusal) from failure
        first, outcome = True, f"a self-check of {kind.__name__} failed, and {ALLOW}=1 allows it"
    _checked.add((release, kind))
    if first:
        message = f"transformers {release} is newer: {span}; {outcome}; see v2drop docs models"
        warnings.warn(message, UntestedReleaseWarning, stacklevel=3)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])
