"""The libraries that a command needs besides the core, checked before its work begins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from v2drop.installing import pip_install

from .errors import CommandError


class MissingLibraryError(CommandError):
    """A library of an optional extra is not installed."""


def require(purpose: str, extra: str, modules: Iterable[str]) -> None:
    """Raise MissingLibraryError if one of these modules is not installed.

    Args:
        purpose: the start of the message: "pages are drawn with".
        extra: the extra that installs them: "v2drop[page]".
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise MissingLibraryError(f"{purpose} {' and '.join(missing)}, which {are} missing: {pip_install(extra)}")


def require_statistics() -> None:
    """Require the library for intervals and tests."""
    require("comparisons are tested with", "v2drop[cli]", ["scipy"])


def require_zoo(modalities: Iterable[str]) -> None:
    """Require the libraries for the zoo's questions about these modalities ("image", "video")."""
    require("the zoo's questions are made with", "v2drop[zoo]", ["sklearn", *(["av"] if "video" in modalities else [])])
