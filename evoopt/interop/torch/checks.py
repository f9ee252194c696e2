"""Checks of modules, which raise ValueError in a sentence."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from evoopt.arrays import shown
from evoopt.interop.torch.types import Module, Tensor

DTYPES = ("float32", "float64")


def require_module(torch: ModuleType, module: object) -> None:
    """Raise ValueError for anything but a module of torch."""
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module must be a torch.nn.Module, got {shown(module)}.")


def check_weights(torch: ModuleType, module: Module) -> str:
    """Return the dtype of a module; raise ValueError for weights that cannot be taken."""
    names: dict[int, list[str]] = defaultdict(list)
    dtypes = []
    for name, tensor in module.named_parameters(remove_duplicate=False):
        if torch.nn.parameter.is_lazy(tensor):
            raise ValueError(f'The module must have all its weights, but "{name}" has no shape; run it once.')
        if tensor.device.type != "cpu":
            raise ValueError(
                f'The module must be on the CPU, but "{name}" is on {tensor.device}; call module.cpu().'
            )
        names[id(tensor)].append(name)
        dtypes.append(dtype_of(tensor))
    if other := next((dtype for dtype in dtypes if dtype not in DTYPES), None):
        raise ValueError(f"The weights must be of float32 or float64, got {other}; call module.float().")
    if tied := next((each for each in names.values() if len(each) > 1), None):
        raise ValueError(
            f"Each weight must have one name, but {' and '.join(map(repr, tied))} are one tensor; call one "
            "module twice, or run the module as it is by evoopt.FunctionNetwork."
        )
    return max(dtypes, default="float32")


def dtype_of(tensor: Tensor) -> str:
    """Return the name of a tensor's dtype, as numpy has it."""
    return str(tensor.dtype).removeprefix("torch.")


def named_tensors(module: Module) -> dict[str, Any]:
    """Return parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@contextmanager
def evaluation(torch: ModuleType, module: Module) -> Iterator[None]:
    """Let a module evaluate, without gradients; it has its modes and buffers back afterwards."""
    modes = [(each, each.training) for each in module.modules()]
    buffers = [(each, each.detach().clone()) for each in module.buffers()]
    try:
        for each, _ in modes:
            each.training = False
        with torch.no_grad():
            yield
    finally:
        for each, training in modes:
            each.training = training
        with torch.no_grad():
            for each, kept in buffers:
                each.copy_(kept)
