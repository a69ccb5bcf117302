"""Attaching the method to a stock model: forward hooks on the inner model and its decoder layers, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from itertools import count
from threading import local
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .adapter import Adapter
from .chunk_maker import ChunkMaker
from .errors import AlreadyAttachedError, ScheduleError, UnsupportedModelError, UsageError
from .methods import Method, make_method
from .registry import get_adapter, unwrap
from .report import ChunkTrace, DropReport
from .schedule import READ_ON, Schedule

_THREAD, _THREADS = local(), count()
_CHUNK = "v2drop_chunk"  # the keyword argument in which a forward call carries its state to the decoder layers


def attach(
    model: nn.Module,
    schedule: Schedule | None = None,
    *,
    retained: float | None = None,
    method: str | Method = "v2drop",
    metric: str | None = None,
    adapter: Adapter | None = None,
) -> Attachment:
    """Make a stock vision-language model drop vision tokens, until detached.

    Args:
        model: a transformers model that an adapter serves, also inside PEFT or torch.compile.
        schedule: when to drop and how many stay.
        retained: instead of a schedule, the share of vision tokens to keep, averaged over layers, cut at the method's
            relative depths (`Schedule.for_budget`).
        method: how tokens are scored: a name of `v2drop.methods()`, or a `Method` made with options.
        metric: of "v2drop", the distance between two layers' inputs: "l2" (the default), "l1" or "cosine".
        adapter: what knows the model's insides; by default the installed one for its model type.

    Returns:
        The attachment, live at once; use it as a context manager or call `detach()`.

    Raises:
        UnsupportedModelError: no adapter serves the model.
        ScheduleError: both or neither of schedule and retained, or a schedule that does not fit the model's depth.
        MethodError, MetricError: an unknown method or metric, or a metric for another method than V2Drop.
        AlreadyAttachedError: v2drop is attached to this model already.
    """
    if adapter is None:
        adapter = get_adapter(model)
    elif not isinstance(adapter, Adapter):
        raise UnsupportedModelError(f"adapter={adapter!r}: pass an instance of a v2drop.Adapter; see CONTRIBUTING.md")
    bare = unwrap(model)
    if not isinstance(bare, nn.Module):
        raise UnsupportedModelError(f"{type(model).__name__} is not a model; see README, 'Supported models'")
    depth = len(adapter.decoder_layers(bare))
    chosen = make_method(method, metric=metric)
    if (schedule is None) == (retained is None):
        raise ScheduleError(
            f"schedule={schedule!r} and retained={retained!r}: pass one of the two, for example retained=0.333; {READ_ON}"
        )
    if schedule is None:
        assert retained is not None
        schedule = chosen.schedule(depth, retained)
    if not isinstance(schedule, Schedule):
        raise ScheduleError(
            f"schedule={schedule!r}: pass a v2drop.Schedule (a published one: v2drop.Schedule.preset(name)), or a budget "
            f"as retained=...; {READ_ON}"
        )
    schedule.check_depth(depth)
    first = adapter.first_stage(bare)
    if schedule.stages and schedule.stages[0].layer < first:
        raise ScheduleError(
            f"a stage before layer {schedule.stages[0].layer}: in {type(bare).__name__} nothing may be dropped before layer "
            f"{first}; pass a schedule that starts there; {READ_ON}"
        )
    return Attachment(bare, schedule, adapter, chosen)


class Attachment:
    """v2drop on one model. Made by `attach`; a context manager that detaches on leaving, and serves until then, once.

    Attributes:
        schedule: the stages in force.
        method: what scores tokens.
        report: DropReport of the last chunk that held vision tokens, None before one. It survives `detach`.
    """

    def __init__(self, model: nn.Module, schedule: Schedule, adapter: Adapter, method: Method) -> None:
        self.schedule, self.method = schedule, method
        self._name = type(model).__name__  # not the model: people keep attachments for their reports
        self._vision_masks: dict[int, Tensor] = {}  # by the thread that assigned it
        self._trace: ChunkTrace | None = None
        inner, layers = unwrap(adapter.inner_model(model)), adapter.decoder_layers(model)
        if any(isinstance(getattr(hook, "__self__", None), Attachment) for hook in inner._forward_pre_hooks.values()):
            raise AlreadyAttachedError(
                f"v2drop is attached to this {self._name} already: detach() the first attachment, or leave its "
                "with block (a deep copy of an attached model is attached too); see README, 'In Python'"
            )
        self._chunks = ChunkMaker(schedule, adapter, method, len(layers))
        self._dimensions = adapter.dimensions(model)
        self._arguments = list(inspect.signature(inner.forward).parameters)
        self._hooks: list[RemovableHandle] = []
        self._forwards: list[tuple[nn.Module, Any]] = []
        self._hook(inner, self._before_model)
        self._hooks.append(inner.register_forward_hook(self._after_model, with_kwargs=True))
        for part in inner.children():
            if not any(module is layers[0] for module in part.modules()):
                self._hook(part, _outside_layers)
        for layer, module in enumerate(layers):
            self._hook(module, partial(_before_layer, layer))

    def _hook(self, module: nn.Module, before: Callable[..., Any]) -> None:
        self._hooks.append(module.register_forward_pre_hook(before, with_kwargs=True))
        # code that torch.compile made of a module without hooks is used on with hooks, unless `forward` became its own
        if "forward" not in vars(module):
            self._forwards.append((module, module.forward))
            vars(module)["forward"] = module.forward

    def __enter__(self) -> Attachment:
        if not self._hooks:
            raise UsageError("this attachment was detached: call attach() again; see README, 'In Python'")
        return self

    def __repr__(self) -> str:
        return f"<{'attached' if self._hooks else 'detached'} {self.schedule!r} on {self._name}>"

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def detach(self) -> None:
        """Restore the model. Calling it again does nothing."""
        for hook in self._hooks:
            hook.remove()
        for module, forward in self._forwards:
            if vars(module).get("forward") == forward:
                del vars(module)["forward"]
        self._hooks.clear()
        self._forwards.clear()

    @property
    def report(self) -> DropReport | None:
        """What was dropped in the last chunk that held vision tokens."""
        return None if self._trace is None else DropReport(self._trace, self._dimensions)

    @property
    def vision_mask(self) -> Tensor | None:
        """Assign a bool [B, S] before a call whose vision tokens cannot be found, such as one with `inputs_embeds`.

        It serves the next call of the thread that assigned it, and that one alone; None takes it back. Its rows may be samples
        before generate() multiplied them for beams.
        """
        return self._vision_masks.get(_thread())

    @vision_mask.setter
    def vision_mask(self, mask: Tensor | None) -> None:
        if mask is None:
            self._vision_masks.pop(_thread(), None)
        else:
            self._vision_masks[_thread()] = mask

    def _before_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getattr(module, "_is_replica", False):
            raise UsageError(
                f"nn.DataParallel copies an attached {self._name}, whose copies would run with the weights of the first: use "
                "DistributedDataParallel or device_map; see README, 'Limits'"
            )
        inputs = {**dict(zip(self._arguments, args, strict=False)), **kwargs}
        # _thread only where one is assigned: a compiled step could not call it
        assigned = self._vision_masks.pop(_thread(), None) if self._vision_masks else None
        chunk = self._chunks.make(module, inputs, assigned)
        return None if chunk is None else (args, {**kwargs, _CHUNK: chunk})

    def _after_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        chunk = kwargs.get(_CHUNK)
        if chunk is None:
            return None
        output = chunk.finish(output)
        if chunk.dropper is not None:
            self._trace = chunk.trace()
        return output


def _before_layer(layer: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    chunk = kwargs.pop(_CHUNK, None)
    if chunk is None:
        return None
    if args:
        return (chunk.before_layer(layer, module, args[0], kwargs), *args[1:]), kwargs
    kwargs["hidden_states"] = chunk.before_layer(layer, module, kwargs["hidden_states"], kwargs)
    return args, kwargs


def _outside_layers(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Some models hand their keyword arguments to the vision tower too, which has no use for a chunk."""
    return None if kwargs.pop(_CHUNK, None) is None else (args, kwargs)


def _thread() -> int:
    """This thread's number, which no other one gets: threading's own are used again when a thread has ended."""
    if not hasattr(_THREAD, "number"):
        _THREAD.number = next(_THREADS)
    number: int = _THREAD.number
    return number
