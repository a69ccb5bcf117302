"""Two more devices on any machine: their tensors lie on the CPU, but cannot be mixed with those of other devices.

They are a torch backend written in Python. Registering it cannot be undone, so it is done in a separate process.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
CPU = torch.device("cpu")
aten = torch.ops.aten
LIBRARY = []  # keeps torch.library.Library objects alive, and with them their registrations
BETWEEN_DEVICES = {aten._to_copy.default, aten.copy_.default}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class PretendTensor(torch.Tensor):
    """Values on the CPU that claim to be on another device."""

    @staticmethod
    def __new__(cls, values, device):
        self = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), values.storage_offset(), dtype=values.dtype, device=device
        )
        self.values_on_cpu = values
        return self

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return run(operator, args, kwargs or {})

    def tolist(self):
        return self.values_on_cpu.tolist()

    def __repr__(self):
        return f"PretendTensor({self.values_on_cpu}, device={self.device})"


class PretendDevices(TorchDispatchMode):
    """Inside, tensors can be created on the pretend devices."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return run(operator, args, kwargs or {})


def run(operator, args, kwargs):
    """Run the operator on the CPU; the result is on its arguments' device. RuntimeError if they are on several."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    checked = tensors[:1] if operator in INDEXING else tensors  # indices may lie on the CPU
    devices = {tensor.device for tensor in checked if tensor.ndim or tensor.device.type == NAME}  # so may numbers
    if len(devices) > 1 and operator not in BETWEEN_DEVICES:
        raise RuntimeError(f"{operator}: tensors on {', '.join(sorted(map(str, devices)))}")
    if operator is aten._fused_sdp_choice.default:
        return 0  # attention by plain operators, since fused kernels depend on the device
    device = args[0].device if operator is aten.copy_.default else next(iter(devices), CPU)
    if kwargs.get("device") is not None:
        device = torch.device(kwargs["device"])
        kwargs = {**kwargs, "device": CPU if device.type == NAME else device}
    seen = {id(tensor.values_on_cpu): tensor for tensor in tensors if isinstance(tensor, PretendTensor)}
    result = operator(*tree_map(values, args), **tree_map(values, kwargs))
    if device.type != NAME:
        return result
    return tree_map(lambda leaf: seen.get(id(leaf), elsewhere(leaf, device)), result)


def values(leaf):
    return leaf.values_on_cpu if isinstance(leaf, PretendTensor) else leaf


def elsewhere(leaf, device):
    return PretendTensor(leaf, device) if isinstance(leaf, torch.Tensor) else leaf


def where_there_are_devices(check, *arguments):
    """Call `check` in a process with the devices pretend:0 and pretend:1; exceptions are raised here."""
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork, initializer=register) as apart:
        apart.submit(check, *arguments).result()


def register():
    _setup_privateuseone_for_python_backend(NAME)
    # torch.tensor() fills a new tensor without asking a mode or a subclass
    library = torch.library.Library("aten", "IMPL")
    for name, made in (("empty.memory_format", empty), ("empty_strided", empty_strided), ("_copy_from", copy_from)):
        library.impl(name, made, "PrivateUse1")
    library.impl("_local_scalar_dense", lambda tensor: tensor.values_on_cpu.item(), "PrivateUse1")
    LIBRARY.append(library)


def empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return PretendTensor(torch.empty(size, dtype=dtype), device)


def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return PretendTensor(torch.empty_strided(size, stride, dtype=dtype), device)


def copy_from(source, target, non_blocking=False):
    values(target).copy_(values(source))
    return target
