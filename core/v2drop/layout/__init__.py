"""Where the vision tokens of a prompt lie: pictures, tiles, frames and their grids."""

from ..renamed import moved_names
from .vision_layout import Box, MediaItem, Tiles, View, VisionLayout

__all__ = ["Box", "MediaItem", "Tiles", "View", "VisionLayout"]

__getattr__ = moved_names("v2drop.layout", {"Medium": "MediaItem"})
