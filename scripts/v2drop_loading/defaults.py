"""Default values and choices of options. No heavy imports, as the help of commands shows them."""

from __future__ import annotations

from enum import Enum

DTYPES = ("float32", "bfloat16", "float16")
BUDGETS = "0.5 0.333 0.222 0.111"
BATCH = 25  # questions; larger batches are not faster on a CPU
DEFAULT_FPS = 2.0


class ExampleKind(str, Enum):
    """Which of a model's examples to ask about."""

    IMAGE = "image"
    VIDEO = "video"


class Modality(str, Enum):
    """What the zoo's questions are about."""

    IMAGE = "image"
    VIDEO = "video"
