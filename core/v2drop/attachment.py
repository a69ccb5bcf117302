"""What is attached to a stock model: forward hooks on the inner model and its decoder layers, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from threading import local
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .adapter import Adapter
from .calls import check_inner_model
from .chunk_maker import ChunkMaker
from .errors import AlreadyAttachedError, UsageError
from .methods import Method
from .registry import unwrap
from .report import ChunkTrace, DropReport
from .schedule import Schedule

_THREAD, _THREADS = local(), count()
_CHUNK = "v2drop_chunk"  # the keyword argument in which a forward call carries its state to the decoder layers


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
        self._arguments = check_inner_model(inner, adapter.media_inputs)
        by_class = {type(layer): adapter.layer_arguments(layer) for layer in layers}
        self._chunks = ChunkMaker(schedule, adapter, method, [by_class[type(layer)] for layer in layers])
        self._dimensions = adapter.dimensions(model)
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
    names = chunk.arguments[layer]
    kwargs.update(zip(names.names[1:], args[1:], strict=False))
    if args:
        return (chunk.before_layer(layer, module, args[0], kwargs),), kwargs
    kwargs[names.hidden_states] = chunk.before_layer(layer, module, kwargs[names.hidden_states], kwargs)
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
