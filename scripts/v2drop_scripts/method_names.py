"""Methods by the names that people type: those that ship, and their own as package:Class."""

from __future__ import annotations

from importlib import import_module

from v2drop import Method, MethodError
from v2drop.methods import make_method


def find_method(name: str) -> Method:
    """A method by its name, or one's own, made without options, by its module and class: "package.module:Class".

    Raises:
        MethodError: an unknown name, a module that cannot be imported, or a class that is no Method.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        return make_method(name)
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MethodError(f"method {name!r}: {error}; pass package:Class of what this Python can import") from error
    if not isinstance(kind, type) or not issubclass(kind, Method):
        raise MethodError(f"method {name!r} is no subclass of v2drop.Method; see v2drop docs adding-a-method")
    try:
        return kind()
    except TypeError as error:
        raise MethodError(f"method {name!r} cannot be made without options: {error}") from error
