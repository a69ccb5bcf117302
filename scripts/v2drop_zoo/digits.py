"""Real handwritten digits: scikit-learn's ``load_digits`` (UCI optdigits, CC BY 4.0), split by image.

1,797 scans of 8x8 pixels by 13 writers. A scan belongs to exactly one split, so no question about a test digit is
answered from a scan that training has seen.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from PIL import Image

from v2drop.installing import pip_install

Split = Literal["train", "validation", "test"]

_SPLIT_SEED = 0
_SIZES = {"train": 1277, "validation": 160, "test": 360}


@cache
def load_split(split: Split) -> dict[int, list[np.ndarray]]:
    """Scans of one split by digit value: float32 arrays ``[8, 8]`` in [0, 1], 1 is full ink.

    Raises:
        ImportError: scikit-learn is missing (extra `zoo`).
        ValueError: unknown split.
    """
    if split not in _SIZES:
        raise ValueError(f"unknown split {split!r}; there are {', '.join(_SIZES)}")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the zoo's digits come with scikit-learn: " + pip_install("v2drop[zoo]")) from error
    data = load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(data.target))
    start = 0
    for name, size in _SIZES.items():
        if name == split:
            break
        start += size
    scans: dict[int, list[np.ndarray]] = {value: [] for value in range(10)}
    for index in order[start : start + _SIZES[split]]:
        scans[int(data.target[index])].append((data.images[index] / 16).astype(np.float32))
    return scans


def draw_ink(scan: np.ndarray, size: int, rng: np.random.Generator, distort: bool) -> np.ndarray:
    """Enlarge a scan to ``[size, size]`` ink in [0, 1]; ``distort`` turns, shears and stretches it a little."""
    image = Image.fromarray((scan * 255).astype(np.uint8))
    if not distort:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    angle, shear = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)
    stretch_x, stretch_y = rng.uniform(0.9, 1.12, size=2) * 8 / size
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, -sin + shear], [sin, cos]]) * [[stretch_x], [stretch_y]]
    offset = 4 - matrix @ [size / 2, size / 2]
    coefficients = (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1])
    turned = image.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    return np.asarray(turned, dtype=np.float32) / 255
