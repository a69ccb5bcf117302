"""Methods that choose which vision tokens to drop. Each is one file: a score, and the depths of its cuts.

A file here that defines a `Method` subclass with a `name` is found automatically; `attach(model, method=name)` uses it.
"""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from ..errors import MethodError
from ..renamed import moved_names
from .base import LayerProbe, Method, StageContext

__getattr__ = moved_names("v2drop.methods", {"Look": "LayerProbe"})
__all__ = ["LayerProbe", "Method", "StageContext", "make_method", "methods"]


@cache
def methods() -> dict[str, type[Method]]:
    """The methods by name."""
    found: dict[str, type[Method]] = {}
    for module in iter_modules(__path__):
        for kind in vars(import_module(f"{__name__}.{module.name}")).values():
            if not isinstance(kind, type) or not issubclass(kind, Method) or inspect.isabstract(kind):
                continue
            if found.setdefault(kind.name, kind) is not kind:
                raise MethodError(f"two methods are named {kind.name!r}: {found[kind.name]} and {kind}")
    return dict(sorted(found.items()))


def make_method(method: str | Method, **options: object) -> Method:
    """Make a method by name, with the options that are not None. A `Method` instance is returned as it is.

    Raises:
        MethodError: an unknown name, options that the method does not have, or options for an instance.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(method, Method):
        if given:
            raise MethodError(
                f"{method!r} is already an instance: pass {', '.join(given)} to its constructor; see v2drop docs methods"
            )
        return method
    if not isinstance(method, str) or method not in methods():
        raise MethodError(f"unknown method {method!r}: use one of {', '.join(methods())}; see v2drop docs methods")
    kind = methods()[method]
    known = inspect.signature(kind).parameters
    wrong = [name for name in given if name not in known]
    if wrong:
        raise MethodError(
            f"method {method!r} has no option {', '.join(wrong)}: it has {', '.join(known) or 'none'}; see v2drop docs methods"
        )
    return kind(**given)
