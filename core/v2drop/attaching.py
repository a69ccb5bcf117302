"""`v2drop.attach`, which checks its arguments before it touches the model."""

from __future__ import annotations

from torch import nn

from .adapter import Adapter
from .errors import ScheduleError, UnsupportedModelError
from .methods import Method, make_method
from .registry import get_adapter, unwrap
from .releases import check_release
from .runtime.attachment import Attachment, OnReport
from .schedule import READ_ON, Schedule


def attach(
    model: nn.Module,
    schedule: Schedule | None = None,
    *,
    retained: float | None = None,
    method: str | Method = "v2drop",
    metric: str | None = None,
    adapter: Adapter | None = None,
    on_report: OnReport | None = None,
) -> Attachment:
    """Make a stock vision-language model drop vision tokens, until detached.

    Args:
        model: a transformers model with an adapter, also if wrapped by PEFT or torch.compile.
        schedule: when to drop tokens and how many to keep.
        retained: instead of a schedule, the share of vision tokens to keep, averaged over layers. Tokens are dropped at
            the method's relative depths (`Schedule.for_budget`).
        method: how tokens are scored: a name from `v2drop.methods()`, or a `Method` instance.
        metric: the distance between two layers' inputs, for "v2drop" only: "l2" (the default), "l1" or "cosine".
        adapter: the adapter to use; by default the installed one for the model type.
        on_report: called with the DropReport of each forward pass that held vision tokens, in the calling thread, after
            the language model has run. An exception that it raises ends the call.

    Returns:
        The attachment, active at once; use it as a context manager or call `detach()`.

    Raises:
        UnsupportedModelError: no adapter supports the model, or its call signatures cannot be understood.
        ScheduleError: both or neither of `schedule` and `retained`, or a schedule that does not fit the model's depth.
        MethodError, MetricError: an unknown method or metric, or a metric for a method other than V2Drop.
        AlreadyAttachedError: v2drop is already attached to this model.

    On a transformers release newer than those tested, it warns with UntestedReleaseWarning; see `v2drop.releases`.
    """
    if adapter is None:
        adapter = get_adapter(model)
    elif not isinstance(adapter, Adapter):
        raise UnsupportedModelError(
            f"adapter={adapter!r}: pass an instance of a v2drop.Adapter; see v2drop docs adding-an-architecture"
        )
    bare = unwrap(model)
    if not isinstance(bare, nn.Module):
        raise UnsupportedModelError(f"{type(model).__name__} is not a model; see v2drop docs models")
    depth, first = len(adapter.decoder_layers(bare)), adapter.first_stage(bare)
    chosen = make_method(method, metric=metric)
    if (schedule is None) == (retained is None):
        raise ScheduleError(
            f"schedule={schedule!r} and retained={retained!r}: pass one of the two, for example retained=0.333; {READ_ON}"
        )
    if schedule is None:
        assert retained is not None
        schedule = chosen.schedule(depth, retained, first)
    if not isinstance(schedule, Schedule):
        raise ScheduleError(
            f"schedule={schedule!r}: pass a v2drop.Schedule (a published one: v2drop.Schedule.preset(name)), or a budget "
            f"as retained=...; {READ_ON}"
        )
    schedule.check_depth(depth, first)
    check_release(bare, adapter)
    return Attachment(bare, schedule, adapter, chosen, on_report)
