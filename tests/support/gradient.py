"""Pictures whose pixels encode their position, so that a token's pixels show which part of the picture it holds."""

from __future__ import annotations

import numpy as np
from PIL import Image


def gradient(height, width):
    """A picture whose red grows from left to right and green from top to bottom; blue is full, padding has none."""
    across, down = ((np.arange(side) + 0.5) / side * 255 for side in (width, height))  # pixels' centres
    pixels = np.stack(
        [np.tile(across, (height, 1)), np.tile(down[:, None], (1, width)), np.full((height, width), 255)], -1
    )
    return Image.fromarray(pixels.round().astype(np.uint8))


def place(pixels):
    """Centre (x, y), relative to the picture's size, of a gradient's pixels [..., 3, h, w] in [0, 1]."""
    return pixels[..., 0, :, :].mean().item(), pixels[..., 1, :, :].mean().item()


def is_padding(pixels):
    """Whether some of these pixels lie outside of the picture."""
    return pixels[..., 2, :, :].min().item() < 0.9
