"""The notebooks of the documentation run from start to finish, and say what their text says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent.parent / "docs" / "notebooks"


def execute(name, monkeypatch):
    """All that a notebook's cells print and show, as text."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_first_steps(monkeypatch):
    shown = execute("first-steps.ipynb", monkeypatch)
    assert "'left'" in shown
    assert "33.3% of the vision tokens, averaged over layers" in shown
    assert shown.count("<Figure") == 2


def test_comparing_methods(monkeypatch):
    shown = execute("comparing-methods.ipynb", monkeypatch)
    for method in ("dense", "v2drop", "fastv", "uniform", "random"):
        assert method in shown
    assert "Wilson" in shown
    assert "<Figure" in shown


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_is_stored_has_outputs_and_no_warnings(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)
