"""Tiny trained models that ship with the package, and the questions that they answer.

They show that the package works; they are no evidence about models of 7B parameters. Each checkpoint's README.md is
its model card.
"""

from pathlib import Path

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def zoo_models() -> list[str]:
    """Names of the bundled models."""
    return sorted(folder.name for folder in CHECKPOINTS.glob("*") if (folder / "config.json").exists())
