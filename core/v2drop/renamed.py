"""Names that moved: the old ones work for one release, with a DeprecationWarning. Then this file goes.

A module is found by its old name through `sys.meta_path`, a class by the `__getattr__` of the package that held it.
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
    """Finds modules by their old names, which nothing else finds."""

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
        module.__spec__ = self._specs.pop(module.__spec__.name)  # which the import has just replaced


def moved_modules(modules: Mapping[str, str]) -> None:
    """Have modules found by their old names too, from now on."""
    sys.meta_path.append(_Moved(modules))


def moved_names(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package some of whose classes have other names now, by the old name."""

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        warn(f"{package}.{name}", f"{package}.{names[name]}", stacklevel=3)
        return getattr(import_module(package), names[name])

    return get


def stand_in(name: str, new: str) -> None:
    """Make the module of this name, a file of its own, the one that is called `new` now; or run that one, with python -m."""
    old = sys.modules[name].__spec__
    warn(name if old is None else old.name, new, stacklevel=3)
    if name == "__main__":
        run_module(new, run_name=name, alter_sys=True)
    else:
        sys.modules[name] = import_module(new)


def warn(old: str, new: str, stacklevel: int) -> None:
    """Say what an old name is called now."""
    warnings.warn(
        f"{old} is {new} now; the old name goes with the next release", DeprecationWarning, stacklevel=stacklevel
    )
