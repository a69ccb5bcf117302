"""How to install an extra from the same source as the installed distribution, which need not be an index."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import distributions
from typing import Any
from urllib.parse import unquote, urlparse


def pip_install(requirement: str) -> str:
    """The command that adds an extra to the installed distribution: a checkout, wheel, repository or index release.

    Args:
        requirement: the distribution and its extra, such as "v2drop[page]".
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
    """pip's record (PEP 610) of an install that did not come from an index; otherwise empty.

    In a checkout, Python also finds the metadata that a build left there, which has no such record.
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
