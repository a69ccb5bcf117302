"""v2drop: stock vision-language models made faster by dropping vision tokens that have stopped changing."""

from . import torch_without_numpy as torch_without_numpy
from .adapter import Adapter, ModelDimensions
from .attaching import attach
from .attachment import Attachment
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
from .layout import Medium, Tiles, View, VisionLayout
from .methods import Method, StageContext, methods
from .registry import get_adapter, registered_adapters
from .report import DropReport
from .rows import Rows
from .schedule import Schedule, Stage
from .variation import token_variation

__version__ = "0.1.0"
__all__ = [
    "Adapter",
    "AlreadyAttachedError",
    "Attachment",
    "CacheError",
    "Cost",
    "DropReport",
    "MediaError",
    "MediaWarning",
    "Medium",
    "Method",
    "MethodError",
    "MetricError",
    "ModelDimensions",
    "ProgressiveDropper",
    "Rows",
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
