"""The documentation: in the terminal, in the wheel, and what messages say about it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.readme_commands import DOCS, README

from v2drop_cli import docs

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"v2drop docs ([a-z-]+)")


def test_pages_are_listed_and_shown(command):
    code, printed = command("docs")
    assert code == 0
    assert "v2drop docs limits" in printed.out
    code, printed = command("docs", "schedules")
    assert code == 0
    assert "llava-1.5-192" in printed.out
    code, printed = command("docs", "--json")
    assert json.loads(printed.out)["quick-start"] == "Quick start"


def test_an_unknown_page_is_told(command):
    code, printed = command("docs", "limts")
    assert (code, printed.out) == (2, "")
    assert "no page 'limts': there are" in printed.err
    assert "limits" in printed.err


def test_every_page_that_a_message_names_is_there():
    sources = [file for root in ("core", "adapters", "scripts") for file in (ROOT / root).rglob("*.py")]
    named = {topic for file in sources for topic in NAMED.findall(file.read_text())}
    assert {"limits", "methods", "models", "schedules"} <= named
    assert named <= set(docs.pages())


def test_no_message_sends_users_of_pip_to_files_of_the_repository():
    sources = [file for root in ("core", "adapters") for file in (ROOT / root).rglob("*.py")]
    assert [file.name for file in sources if re.search(r"CONTRIBUTING|see README", file.read_text())] == []


def test_an_install_without_a_checkout_finds_them(monkeypatch, tmp_path):
    class Listed:
        """A line of what an installed distribution lists."""

        parent = Path("../../../share/v2drop/docs")

        def locate(self):
            return tmp_path / "share" / "limits.md"

    monkeypatch.setattr(docs, "CHECKOUT", tmp_path)
    monkeypatch.setattr(docs, "files", lambda name: [Listed()])
    assert docs.pages() == {"limits": tmp_path / "share" / "limits.md"}
    monkeypatch.setattr(docs, "files", lambda name: None)
    assert docs.pages() == {}


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = README.read_text()
    assert len(text.encode()) <= 8192
    for target in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (README.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_begins_with_its_title(page):
    assert page.read_text().startswith("# ")
