"""Checks of modules, which raise ValueError in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from evoopt.arrays import shown
from evoopt.interop.torch.types import Module, Tensor
from evoopt.types import Array

DTYPES = ("float32", "float64")


def require_module(torch: ModuleType, module: object) -> None:
    """Raise ValueError for anything but a module of torch."""
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module must be a torch.nn.Module, got {shown(module)}.")


def check_weights(torch: ModuleType, module: Module) -> str:
    """Return the dtype of a module; raise ValueError for weights that cannot be taken."""
    dtypes = []
    for name, tensor in module.named_parameters():
        if torch.nn.parameter.is_lazy(tensor):
            raise ValueError(f'The module must have all its weights, but "{name}" has no shape; run it once.')
        if tensor.device.type != "cpu":
            raise ValueError(
                f'The module must be on the CPU, but "{name}" is on {tensor.device}; call module.cpu().'
            )
        dtypes.append(dtype_of(tensor))
    for name, tensor in module.named_buffers():
        if tensor.device.type != "cpu" or str(tensor.layout) != "torch.strided":
            raise ValueError(
                f'Buffers of the module must be dense and on the CPU, but "{name}" is {dtype_of(tensor)} of '
                f"layout {tensor.layout} on {tensor.device}."
            )
    if other := next((dtype for dtype in dtypes if dtype not in DTYPES), None):
        raise ValueError(f"The weights must be of float32 or float64, got {other}; call module.float().")
    return max(dtypes, default="float32")


def as_array(tensor: Tensor) -> Array:
    """Return a copy of a tensor; in float32 if numpy does not have its dtype, such as bfloat16."""
    unknown = tensor.is_floating_point() and dtype_of(tensor) not in (*DTYPES, "float16")
    return np.array((tensor.float() if unknown else tensor).detach().numpy())


def dtype_of(tensor: Tensor) -> str:
    """Return the name of a tensor's dtype, as numpy has it."""
    return str(tensor.dtype).removeprefix("torch.")


def named_tensors(module: Module) -> dict[str, Any]:
    """Return parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@contextmanager
def evaluation(torch: ModuleType, module: Module) -> Iterator[None]:
    """Let a module evaluate, without gradients; it has its modes and tensors back afterwards."""
    modes = [(each, each.training) for each in module.modules()]
    tensors = [(each, each.detach().clone()) for each in (*module.parameters(), *module.buffers())]
    try:
        for each, _ in modes:
            each.training = False
        with torch.no_grad():
            yield
    finally:
        for each, training in modes:
            each.training = training
        for each, kept in tensors:
            each.data.copy_(kept)  # without a new version of the tensor, which a backward pass would refuse
