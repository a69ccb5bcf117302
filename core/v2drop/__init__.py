"""v2drop speeds up stock vision-language models by dropping vision tokens that have stopped changing."""

from . import torch_without_numpy as torch_without_numpy
from .adapter import Adapter, ModelDimensions
from .attaching import attach
from .cost import Cost
from .dropper import ProgressiveDropper
from .errors import (
    AlreadyAttachedError,
    CacheError,
    MediaError,
    MediaWarning,
    MethodError,
    MetricError,
    ScheduleError,
    UnsupportedModelError,
    UntestedReleaseWarning,
    UsageError,
    V2DropError,
    VisionMaskError,
)
from .kept_tokens import KeptTokens
from .layout import MediaItem, Tiles, View, VisionLayout
from .methods import Method, StageContext, methods
from .methods.variation import token_variation
from .registry import get_adapter, registered_adapters
from .renamed import MODULES, moved_modules, moved_names
from .report import DropReport
from .runtime.attachment import Attachment
from .schedule import Schedule, Stage

__version__ = "0.1.0"
__all__ = [
    "Adapter",
    "AlreadyAttachedError",
    "Attachment",
    "CacheError",
    "Cost",
    "DropReport",
    "KeptTokens",
    "MediaError",
    "MediaItem",
    "MediaWarning",
    "Method",
    "MethodError",
    "MetricError",
    "ModelDimensions",
    "ProgressiveDropper",
    "Schedule",
    "ScheduleError",
    "Stage",
    "StageContext",
    "Tiles",
    "UnsupportedModelError",
    "UntestedReleaseWarning",
    "UsageError",
    "V2DropError",
    "View",
    "VisionLayout",
    "VisionMaskError",
    "attach",
    "get_adapter",
    "methods",
    "registered_adapters",
    "token_variation",
]

moved_modules(MODULES)
__getattr__ = moved_names("v2drop", {"Medium": "MediaItem", "Rows": "KeptTokens"})
