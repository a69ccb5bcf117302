"""Everything that v2drop raises on purpose. Each message quotes the offending value and says what would be right."""

from __future__ import annotations


class V2DropError(Exception):
    """Base of all errors that v2drop raises on purpose."""


class UnsupportedModelError(V2DropError, TypeError):
    """No adapter serves this model, or it is not a model at all."""


class ScheduleError(V2DropError, ValueError):
    """A schedule, stage, budget or preset that cannot be, or that does not fit the model."""


class MetricError(V2DropError, ValueError):
    """An unknown metric."""


class MethodError(V2DropError, ValueError):
    """An unknown method, or an option of one that cannot be."""


class AlreadyAttachedError(V2DropError, RuntimeError):
    """v2drop is attached to this model already."""


class VisionMaskError(V2DropError, ValueError):
    """A vision mask of the wrong type or shape, or pictures without vision tokens."""


class UsageError(V2DropError, ValueError):
    """A call of the plain-tensor functions that has no answer: shapes that differ, or a layer left out."""


class CacheError(V2DropError, RuntimeError):
    """A cache whose contents do not fit what v2drop remembers about it."""


class MediaError(V2DropError, ValueError):
    """A picture or video that is missing, or that cannot be read or used."""


class UntestedReleaseWarning(UserWarning):
    """This release of transformers is newer than those that v2drop was tested on."""


class MediaWarning(UserWarning):
    """Of a picture file only a part is shown, such as the first frame of an animation."""
