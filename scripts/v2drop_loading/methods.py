"""Finds methods by name, built-in ones or your own as package:Class, and attaches them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import v2drop
from v2drop import Attachment, Method, MethodError, Schedule
from v2drop.methods import make_method
from v2drop.methods.random_baseline import Random

BASELINE = "random"  # what every method is tested against


def find_method(name: str) -> Method:
    """A built-in method by its name, or your own, made without options, as "package.module:Class".

    Raises:
        MethodError: an unknown name, a module that cannot be imported, or a class that is not a Method.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        return make_method(name)
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MethodError(f"method {name!r}: {error}; pass package:Class that this Python can import") from error
    if not isinstance(kind, type) or not issubclass(kind, Method):
        raise MethodError(f"method {name!r} is not a subclass of v2drop.Method; see v2drop docs adding-a-method")
    try:
        return kind()
    except TypeError as error:
        raise MethodError(f"method {name!r} cannot be made without options: {error}") from error


def seeded(method: str | Method, seed: int, questions: Sequence[int]) -> Method:
    """The method for a batch of these questions. Random draws again for each question, whatever batch it is in."""
    if method == BASELINE:
        return Random([(seed << 32) + number for number in questions])
    return find_method(method) if isinstance(method, str) else method


def attach_method(
    model: Any, schedule: Schedule | None, method: str | Method, seed: int, questions: Sequence[int]
) -> Attachment:
    """`v2drop.attach` for a batch of these questions; `seed` is for method "random"."""
    return v2drop.attach(model, schedule, method=seeded(method, seed, questions))
