"""Tiny models that were really trained and ship with the package, and how they were trained.

They show that the product works; they are no evidence about models of 7B parameters. Each checkpoint's README.md is
its model card.
"""

from pathlib import Path

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def zoo_models() -> list[str]:
    """Names of the models that ship."""
    return sorted(folder.name for folder in CHECKPOINTS.glob("*") if (folder / "config.json").exists())
