"""The functions of torch that are recorded, by name, and those that need not be."""

import inspect
from typing import Any

from evoopt.interop.torch.recording import elementwise, features, layouts, recurrent, reductions, windows
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import STATES, States, Value
from evoopt.interop.torch.types import Function

FUNCTIONS: dict[str, Function] = {
    **elementwise.FUNCTIONS,
    **features.FUNCTIONS,
    **layouts.FUNCTIONS,
    **recurrent.FUNCTIONS,
    **reductions.FUNCTIONS,
    **windows.FUNCTIONS,
}
# functions of a tensor that do not return its numbers
QUESTIONS = frozenset(
    {"shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "len", "stride", "layout"}
    | {"dtype", "device", "get_device", "requires_grad", "grad_fn", "repr", "format"}
    | {"is_contiguous", "is_cpu", "is_cuda", "is_floating_point", "is_leaf", "is_nested", "is_sparse"}
)
SIZES = frozenset({"shape", "size", "numel", "nelement", "len"})
ANSWERS = frozenset(  # methods and functions that return numbers to Python
    {"__bool__", "__int__", "__float__", "__index__", "__contains__", "__array__"}
    | {"item", "tolist", "numpy", "equal", "allclose", "is_nonzero"}
)


def record_call(
    function: Function, graph: GraphBuilder, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function that records."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(graph, *args, **kwargs)
    except TypeError as error:
        raise UnsupportedError(f"it is called in a way that is not known: {error}") from error
    for name, value in bound.arguments.items():
        wanted = signature.parameters[name].annotation
        if isinstance(value, States) and wanted != Value | States:
            raise UnsupportedError(STATES)
        if wanted is Value and not isinstance(value, Value):
            raise UnsupportedError(f"its argument {name} is not computed from the inputs")
    try:
        return function(graph, *args, **kwargs)
    except UnsupportedError:
        raise
    except ValueError as error:  # a layer's
        raise UnsupportedError(str(error).rstrip(".")) from error


def name_of(function: Function) -> str:
    """Return the name of a function or method, without underscores around it."""
    name = own_name(function)
    if name == "__get__":  # a property's
        name = own_name(getattr(function, "__self__", None))
    return name.strip("_")


def own_name(function: object) -> str:
    """Return the name of a function as Python has it."""
    return str(getattr(function, "__name__", function))


def writes(function: Function) -> bool:
    """Return whether a function writes into its first argument."""
    name = own_name(function)
    return name == "__setitem__" or name.endswith("_") != name.endswith("__")
