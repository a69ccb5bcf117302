"""What a command needs beside the core, asked for before its work begins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from v2drop.installing import pip_install

from .errors import CommandError


class MissingLibraryError(CommandError):
    """A library that an extra brings is not installed."""


def require(purpose: str, extra: str, modules: Iterable[str]) -> None:
    """Raise MissingLibraryError where one of these modules cannot be imported.

    Args:
        purpose: how the message begins: "pages are drawn with".
        extra: what brings them: "v2drop[page]".
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise MissingLibraryError(f"{purpose} {' and '.join(missing)}, which {are} missing: {pip_install(extra)}")


def require_statistics() -> None:
    """What intervals and tests need."""
    require("comparisons are tested with", "v2drop[cli]", ["scipy"])


def require_zoo(modalities: Iterable[str]) -> None:
    """What the zoo's own questions need, about these media ("image", "video")."""
    require("the zoo's questions are made with", "v2drop[zoo]", ["sklearn", *(["av"] if "video" in modalities else [])])
