"""How to install an extra: from where the distribution came, for it need not have come from an index."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import distributions
from typing import Any
from urllib.parse import unquote, urlparse


def pip_install(requirement: str) -> str:
    """The command that adds an extra to what is installed: to a checkout, a wheel file, a repository, or from an index.

    Args:
        requirement: such as "v2drop[page]".
    """
    name, bracket, extras = requirement.partition("[")
    extras = bracket + extras
    came_from = _direct_url(name)
    url = came_from.get("url", "")
    options = "-e " if came_from.get("dir_info", {}).get("editable") else ""
    if not url:
        wanted = requirement
    elif url.startswith("file:") and "vcs_info" not in came_from:
        wanted = unquote(urlparse(url).path) + extras
    else:
        vcs = came_from.get("vcs_info", {})
        kind, commit = vcs.get("vcs"), vcs.get("requested_revision") or vcs.get("commit_id")
        wanted = f"{requirement} @ {kind}+{url}@{commit}" if kind else f"{requirement} @ {url}"
    return f"pip install {options}'{wanted}'" if "'" not in wanted else f"pip install {options}{shlex.quote(wanted)}"


def _direct_url(name: str) -> dict[str, Any]:
    """What pip noted (PEP 610) of an install that came from no index; else nothing.

    In a checkout's folder Python finds what a build left there too, of which pip noted nothing.
    """
    for found in distributions(name=name):
        text = found.read_text("direct_url.json")
        if text:
            try:
                noted: dict[str, Any] = json.loads(text)
            except ValueError:
                continue
            return noted
    return {}
