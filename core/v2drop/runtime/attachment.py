"""The `Attachment`: forward hooks on a stock model's inner model and its decoder layers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock, Thread, current_thread, get_ident
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..adapter import Adapter
from ..errors import AlreadyAttachedError, UsageError
from ..hf.caches import filled
from ..hf.calls import cache_in, check_inner_model
from ..methods import Method
from ..registry import unwrap
from ..report import DropReport
from ..schedule import Schedule
from .continuous_batching import guard, unguard
from .prepare import ForwardPassMaker

OnReport = Callable[[DropReport], object]
_ASSIGNING = Lock()
_STATE = "v2drop_forward_pass"  # the keyword argument that carries a call's state to the decoder layers


class Attachment:
    """v2drop on one model, made by `attach`. A context manager that detaches on exit and cannot be entered again.

    Several threads may generate on one attached model at the same time.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        adapter: Adapter,
        method: Method,
        on_report: OnReport | None = None,
    ) -> None:
        self._schedule, self._method, self._on_report = schedule, method, on_report
        self._name = type(model).__name__  # not the model: users keep attachments for their reports
        self._vision_masks: WeakKeyDictionary[Thread, Tensor] = WeakKeyDictionary()  # by the thread that assigned it
        self._masks_wait = False  # whether there are any: compiled code cannot read the dictionary
        self._reports: WeakKeyDictionary[Thread, DropReport] = WeakKeyDictionary()  # by the thread that made the call
        inner, layers = unwrap(adapter.inner_model(model)), adapter.decoder_layers(model)
        self._models = (ref(model), ref(inner))
        if any(isinstance(getattr(hook, "__self__", None), Attachment) for hook in inner._forward_pre_hooks.values()):
            raise AlreadyAttachedError(
                f"v2drop is already attached to this {self._name}: detach() the first attachment, or leave its "
                "with block (a deep copy of an attached model is attached too); see v2drop docs quick-start"
            )
        self._arguments = check_inner_model(inner, adapter.media_inputs)
        one_of_each = {type(layer): layer for layer in layers}
        by_class = {kind: adapter.layer_arguments(layer) for kind, layer in one_of_each.items()}
        self._passes = ForwardPassMaker(schedule, adapter, method, [by_class[type(layer)] for layer in layers])
        self._dimensions = adapter.dimensions(model)
        self._hooks: list[RemovableHandle] = []
        self._forwards: list[tuple[nn.Module, Any]] = []
        guard(model, adapter)
        self._hook(inner, self._before_model)
        self._hooks.append(inner.register_forward_hook(self._after_model, with_kwargs=True))
        for part in inner.children():
            if not any(module is layers[0] for module in part.modules()):
                self._hook(part, _outside_layers)
        for layer, module in enumerate(layers):
            self._hook(module, partial(_before_layer, layer))

    def _hook(self, module: nn.Module, before: Callable[..., Any]) -> None:
        self._hooks.append(module.register_forward_pre_hook(before, with_kwargs=True))
        # torch.compile reuses code that it compiled before the hooks, unless the module has a `forward` of its own
        if "forward" not in vars(module):
            self._forwards.append((module, module.forward))
            vars(module)["forward"] = module.forward

    def __enter__(self) -> Attachment:
        if not self._hooks:
            raise UsageError("this attachment was detached: call attach() again; see v2drop docs quick-start")
        return self

    def __repr__(self) -> str:
        return f"<{'attached' if self._hooks else 'detached'} {self.schedule!r} on {self._name}>"

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def detach(self) -> None:
        """Restore the model. Calling it again does nothing.

        Raises:
            UsageError: another thread is in a call of this model or its `generate`.
        """
        if self._hooks and _in_a_call(self._models):
            raise UsageError(
                f"another thread is in a call of this {self._name}, which would go on without v2drop: wait until it has "
                "returned, then detach(); see v2drop docs service"
            )
        for hook in self._hooks:
            hook.remove()
        if (model := self._models[0]()) is not None:
            unguard(model)
        for module, forward in self._forwards:
            if vars(module).get("forward") == forward:
                del vars(module)["forward"]
        self._hooks.clear()
        self._forwards.clear()

    @property
    def schedule(self) -> Schedule:
        """The schedule in use. To change it, detach and attach again."""
        return self._schedule

    @property
    def method(self) -> Method:
        """The method that scores tokens. To change it, detach and attach again."""
        return self._method

    @property
    def report(self) -> DropReport | None:
        """What was dropped in this thread's last forward pass that held vision tokens; it survives `detach`.

        None before the first one, and after a call without media that began a new sequence. Reports of calls in other
        threads, such as generation with a streamer, go to `attach(..., on_report=...)`.
        """
        return self._reports.get(current_thread())

    @property
    def vision_mask(self) -> Tensor | None:
        """Assign a bool [B, S] before a call whose vision tokens cannot be found, such as one with `inputs_embeds`.

        It applies only to the next call in the thread that assigned it; assign None to clear it. B may be the batch
        size before generate() expands it for beams.
        """
        return self._vision_masks.get(current_thread())

    @vision_mask.setter
    def vision_mask(self, mask: Tensor | None) -> None:
        with _ASSIGNING:
            if mask is None:
                self._vision_masks.pop(current_thread(), None)
            else:
                self._vision_masks[current_thread()] = mask
            self._masks_wait = bool(self._vision_masks)

    @contextmanager
    def marking(self, mask: Tensor) -> Iterator[None]:
        """Inside the block, `mask` is the `vision_mask` of the next call. What was assigned before is back afterwards.

        Example:
            ```python
            with run.marking(mask):
                model.generate(inputs_embeds=embeds)
            ```
        """
        before, self.vision_mask = self.vision_mask, mask
        try:
            yield
        finally:
            self.vision_mask = before

    def _before_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getattr(module, "_is_replica", False):
            raise UsageError(
                f"nn.DataParallel copies an attached {self._name}, whose copies would run with the weights of the first: use "
                "DistributedDataParallel or device_map; see v2drop docs limits"
            )
        inputs = {**dict(zip(self._arguments, args, strict=False)), **kwargs}
        assigned = None
        if self._masks_wait:
            assigned, self.vision_mask = self.vision_mask, None
        forward_pass = self._passes.make(module, inputs, assigned)
        if forward_pass is not None:
            return args, {**kwargs, _STATE: forward_pass}
        compiling = torch.compiler.is_compiling()
        if not compiling and self._reports and not filled(cache_in(inputs), inputs.get("cache_position")):
            self._reports.pop(current_thread(), None)  # a new sequence without media: the last report is not its own
        return None

    def _after_model(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        forward_pass = kwargs.get(_STATE)
        if forward_pass is None:
            return None
        output = forward_pass.finish(output)
        if forward_pass.dropper is not None:
            report = self._reports[current_thread()] = DropReport(forward_pass.snapshot(), self._dimensions)
            if self._on_report is not None:
                self._on_report(report)
        return output


def _before_layer(layer: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    forward_pass = kwargs.pop(_STATE, None)
    if forward_pass is None:
        return None
    names = forward_pass.arguments[layer]
    if len(args) > 1:
        kwargs.update(zip(names.names[1:], args[1:], strict=False))
    if args:
        return (forward_pass.before_layer(layer, module, args[0], kwargs),), kwargs
    kwargs[names.hidden_states] = forward_pass.before_layer(layer, module, kwargs[names.hidden_states], kwargs)
    return args, kwargs


def _outside_layers(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Remove the state: some models pass their keyword arguments to the vision tower too."""
    return None if kwargs.pop(_STATE, None) is None else (args, kwargs)


def _in_a_call(models: Iterable[ref[nn.Module]]) -> bool:
    """Whether another thread is in a method of one of these models."""
    called = [model() for model in models]
    for thread, frame in sys._current_frames().items():
        above: FrameType | None = None if thread == get_ident() else frame
        while above is not None:
            if any(above.f_locals.get("self") is model for model in called if model is not None):
                return True
            above = above.f_back
    return False
