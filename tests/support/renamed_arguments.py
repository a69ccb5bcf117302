"""A stock decoder layer that is called with another name for an argument, as in a future release of transformers."""

from __future__ import annotations

import inspect

from v2drop.hf.calls import LayerArguments


def rename(layer, known, new, annotation=inspect.Parameter.empty, *, named=True):
    """Rename this layer's argument `known`, a name of `v2drop.hf.calls.NAMES`, to `new`.

    Args:
        annotation: annotation of the new parameter.
        named: whether `forward` names it; if not, it is one of its **kwargs.
    """
    kind = type(layer)
    old = getattr(LayerArguments.of(layer), known)

    class Renamed(kind):
        def __call__(self, *args, **kwargs):  # hooks see the new name
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
            return super().__call__(*args, **kwargs)

        def forward(self, *args, **kwargs):
            if new in kwargs:
                kwargs[old] = kwargs.pop(new)
            return kind.forward(self, *args, **kwargs)

    signature = inspect.signature(kind.forward)
    parameters = [
        each.replace(name=new, annotation=annotation) if each.name == old else each
        for each in signature.parameters.values()
        if named or each.name != old
    ]
    Renamed.forward.__signature__ = signature.replace(parameters=parameters)
    Renamed.__name__ = "RenamedLayer"
    layer.__class__ = Renamed


def call_by_position(layer):
    """Make this layer's model pass all named arguments of `forward` by position."""
    kind = type(layer)
    names = LayerArguments.of(layer).names

    class ByPosition(kind):
        def __call__(self, *args, **kwargs):
            parameters = inspect.signature(kind.forward).parameters
            args += tuple(kwargs.pop(name, parameters[name].default) for name in names[len(args) :])
            return super().__call__(*args, **kwargs)

    layer.__class__ = ByPosition
