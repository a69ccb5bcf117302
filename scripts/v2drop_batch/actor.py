"""The actor of the pool: a model that answers one block after another."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .answerer import Answerer, Settings
from .store import Store, Summary


class BlockActor:
    """Loads a model once; each call answers a block and writes it."""

    def __init__(self, settings: Settings, batch: int, folder: Path) -> None:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)  # an actor has one core: with more threads, actors would compete for cores
        self._answerer, self._store = Answerer(settings, batch), Store(folder)

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The outcome of the block and its start time. A block that is already written is not answered again.

        `error` says why the block could not be answered: its rows are not at fault, and another run may succeed.
        """
        block, began = pickle.loads(item["block"]), time.time()
        summary, problem = Summary(), ""
        try:
            if not self._store.holds(block.number):
                self._store.begin(block.number)
                self._store.write(block.number, self._answerer.answer(block.rows()))
            summary = self._store.summary(block.number)
        except Exception as error:
            problem = str(error) or type(error).__name__
        return {"block": block.number, "began": began, "error": problem, "summary": asdict(summary)}
