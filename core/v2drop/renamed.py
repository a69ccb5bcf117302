"""Old names of modules and classes that moved. They work for one release, with a DeprecationWarning.

Modules are found through `sys.meta_path`, classes through their old package's `__getattr__`. Then this file goes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from runpy import run_module
from types import ModuleType
from typing import Any

MODULES = {
    **{
        f"v2drop.{name}": f"v2drop.hf.{name}" for name in ("attention", "caches", "calls", "inputs", "masks", "outputs")
    },
    "v2drop.packing": "v2drop.hf.packed_sequences",
    "v2drop.anyres": "v2drop.layout.anyres",
    "v2drop.patch_grid": "v2drop.layout.patch_grid",
    "v2drop.video": "v2drop.layout.frame_times",
    "v2drop.selection": "v2drop.methods.selection",
    "v2drop.variation": "v2drop.methods.variation",
    "v2drop.methods.method": "v2drop.methods.base",
    "v2drop.methods.random": "v2drop.methods.random_baseline",
    "v2drop.attachment": "v2drop.runtime.attachment",
    "v2drop.rows": "v2drop.kept_tokens",
}


class _Moved(MetaPathFinder, Loader):
    """Finds modules by their old names."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules
        self._specs: dict[str, Any] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self._modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = self._modules[spec.name]
        warn(spec.name, new, stacklevel=3)
        module = import_module(new)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name)  # the import has just replaced it


def moved_modules(modules: Mapping[str, str]) -> None:
    """Make modules importable by their old names too."""
    sys.meta_path.append(_Moved(modules))


def moved_names(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that finds renamed classes by their old names."""

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        warn(f"{package}.{name}", f"{package}.{names[name]}", stacklevel=3)
        return getattr(import_module(package), names[name])

    return get


def moved_attribute(owner: str, old: str, new: str) -> property:
    """A property that gives the attribute `new` by its old name."""

    def get(self: Any) -> Any:
        warn(f"{owner}.{old}", f"{owner}.{new}", stacklevel=3)
        return getattr(self, new)

    return property(get)


def stand_in(name: str, new: str) -> None:
    """Replace the module `name`, which still has its own file, with `new`; with python -m, run `new` instead."""
    old = sys.modules[name].__spec__
    warn(name if old is None else old.name, new, stacklevel=3)
    if name == "__main__":
        run_module(new, run_name=name, alter_sys=True)
    else:
        sys.modules[name] = import_module(new)


def warn(old: str, new: str, stacklevel: int) -> None:
    """Warn that an old name was replaced by a new one."""
    warnings.warn(
        f"{old} is {new} now; the old name goes with the next release", DeprecationWarning, stacklevel=stacklevel
    )
