"""PyramidDrop (CVPR 2025): scores like FastV, in stages that each keep the same share of what is left."""

from __future__ import annotations

from .fastv import FastV


class PyramidDrop(FastV):
    """Cuts at a quarter, half and three quarters of the depth; attention from the last token of the instruction."""

    name = "pyramiddrop"
    depths = (1 / 4, 1 / 2, 3 / 4)
