"""Which releases of transformers v2drop was tested on, and what `attach` does on one that is newer."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

from .adapter import Adapter
from .errors import UnsupportedModelError, UntestedReleaseWarning
from .self_check import self_check

TESTED: tuple[str, ...] = ("5.0.0", "5.4.0", "5.24.0")
"""Releases on which all tests of adapters and core were right, ascending. CI tests the first and the last each time."""

ALLOW = "V2DROP_ALLOW_UNTESTED"  # set to 1, a failed self-check warns and no longer refuses

_checked: set[tuple[str, type]] = set()


def check_release(model: Any, adapter: Adapter) -> None:
    """Look whether this release of transformers is one that v2drop was tested on.

    On a newer one, the first model of each layer class is checked: a tiny copy of its language model, dropping beside masking.
    One warning says which releases are tested.

    Raises:
        UnsupportedModelError: a release older than the oldest, or a self-check that failed.
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
            "all the same; see v2drop docs models"
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
