"""All exceptions that v2drop raises on purpose. Each message quotes the offending value and says what is valid."""

from __future__ import annotations


class V2DropError(Exception):
    """Base of all errors that v2drop raises on purpose."""


class UnsupportedModelError(V2DropError, TypeError):
    """No adapter supports this model, its calls cannot be understood, or it is not a model."""


class ScheduleError(V2DropError, ValueError):
    """A schedule, stage, budget or preset that is invalid or does not fit the model."""


class MetricError(V2DropError, ValueError):
    """An unknown metric."""


class MethodError(V2DropError, ValueError):
    """An unknown method, or an invalid option of a method."""


class AlreadyAttachedError(V2DropError, RuntimeError):
    """v2drop is already attached to this model."""


class VisionMaskError(V2DropError, ValueError):
    """A vision mask of the wrong type or shape, or pictures without vision tokens."""


class UsageError(V2DropError, ValueError):
    """A call that v2drop cannot serve, such as one with shapes that differ or a skipped layer."""


class CacheError(V2DropError, RuntimeError):
    """A cache that is too small, discards keys, or does not match what v2drop remembers about it."""


class MediaError(V2DropError, ValueError):
    """A picture or video that is missing, or that cannot be read or used."""


class UntestedReleaseWarning(UserWarning):
    """This release of transformers is newer than those that v2drop was tested on."""


class MediaWarning(UserWarning):
    """Only part of a picture file is shown, such as the first frame of an animation."""
