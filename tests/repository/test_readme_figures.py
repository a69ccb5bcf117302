"""What README and documentation quote from docs/results is what stands there."""

from __future__ import annotations

import json

import pytest
from support.readme_commands import README

RESULTS = README.parent / "docs" / "results"
COLUMNS = ["llava-image", "llava_next-image", "qwen2_vl-image", "qwen2_vl-video", "llava_control-image"]
HEAD = "| method | llava | llava_next | qwen2_vl, pictures | qwen2_vl, videos | llava_control |"
THIRD = 0.333


def measured(name: str) -> dict[tuple[str, float | None], float]:
    rows = json.loads((RESULTS / f"methods-{name}.json").read_text())["rows"]
    return {(row["method"], row["budget"]): row["accuracy"] for row in rows if row["accuracy"] is not None}


@pytest.fixture(scope="module")
def results():
    return {name: measured(name) for name in COLUMNS}


@pytest.mark.parametrize("page", ["README.md", "docs/comparing.md"])
def test_the_table_of_methods_is_the_one_that_was_measured(results, page):
    lines = iter((README.parent / page).read_text().splitlines())
    assert any(line == HEAD for line in lines)
    next(lines)
    quoted = {}
    for line in lines:
        if not line.startswith("|"):
            break
        method, *cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        quoted[method] = cells
    assert set(quoted) == {method for found in results.values() for method, _ in found}
    for method, cells in quoted.items():
        budget = None if method == "dense" else THIRD
        assert cells == [f"{results[name][method, budget]:.1%}" for name in COLUMNS], method


def test_where_v2drop_wins_and_loses_is_as_told(results):
    behind = []
    for name, found in results.items():
        for budget in {budget for _, budget in found} - {None}:
            ranks = {method: accuracy for (method, at), accuracy in found.items() if at == budget}
            others = [accuracy for method, accuracy in ranks.items() if method != "v2drop"]
            if name == "llava_control-image":
                assert ranks["v2drop"] < min(others)
            elif ranks["v2drop"] <= max(others):
                behind.append((name, budget, f"{ranks['v2drop']:.1%}", f"{ranks['random']:.1%}"))
    assert behind == [("llava_next-image", 0.111, "28.8%", "35.7%")]
    text = " ".join((README.parent / "docs" / "comparing.md").read_text().split())
    assert "except on llava_next at a ninth of the tokens (28.8 %; random 35.7 %)" in text
    assert "It is behind all others, at every budget, on `llava_control`" in text
