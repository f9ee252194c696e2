"""The recorder of a forward pass: it sees each call of a function of torch, and its tensors."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evoopt.interop.torch.recording import elementwise, features, layouts, recurrent, reductions, windows
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.place import place
from evoopt.interop.torch.recording.signals import LearnedError, UnsupportedError
from evoopt.interop.torch.recording.values import States, Unknown, Value
from evoopt.networks.shaping import Reshape, Flatten, Slice

Described = Value | States | Unknown
Function = Callable[..., Any]

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
    {"shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "len", "dtype", "device", "is_cuda"}
    | {"is_contiguous", "is_floating_point", "stride", "layout", "requires_grad", "get_device", "repr", "format"}
)
REMEDY = "evoopt.FunctionNetwork runs any module as it is"


class Recorder:
    """The tensors of a forward pass, and the graph of layers that computes them.

    Functions run as ever, so that sizes are known, and a tensor that no input leads to is a
    constant.
    """

    def __init__(self, torch: Any, graph: GraphBuilder, paths: Mapping[int, str], batch: int) -> None:
        self._torch, self.graph, self._paths, self._batch = torch, graph, paths, batch
        # by identity, with the tensors, so that no identity is given away again
        self._described: dict[int, tuple[Any, Described]] = {}
        self._of_weights: dict[int, tuple[Any, str]] = {}  # tensors that are computed from weights

    def mode(self) -> Any:
        """Return the context in which functions of torch are recorded."""
        call = self._call

        class Recording(self._torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
            def __torch_function__(
                self, function: Function, types: object, args: Any = (), kwargs: Any = None
            ) -> Any:
                return call(function, args, kwargs or {})

        return Recording()

    def describe(self, tensor: Any, described: Described) -> None:
        """Say what a tensor is."""
        self._described[id(tensor)] = tensor, described

    def described(self, tensor: Any) -> Described | None:
        """Return what a tensor is; None for a constant."""
        return self._described.get(id(tensor), (None, None))[1]

    def _call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = _name_of(function)
        tensors = [each for each in _leaves((args, kwargs)) if isinstance(each, self._torch.Tensor)]
        if not any(self.described(tensor) for tensor in tensors):
            return self._constant(function(*args, **kwargs), tensors)
        if name in QUESTIONS:
            return function(*args, **kwargs)
        try:
            self._before(name, args)
            result = function(*args, **kwargs)
            self._record(name, result, *_mapped(self._argument, (args, kwargs)))
        except UnsupportedError as error:
            raise UnsupportedError(f"{name}{place(self._paths)} has no counterpart: {error}; {REMEDY}.") from None
        return result

    def _constant(self, result: Any, tensors: Iterable[Any]) -> Any:
        """Keep in mind which tensors are computed from weights."""
        names = self.graph.weights.names
        known = (names.get(id(t)) or self._of_weights.get(id(t), ("", ""))[1] for t in tensors)
        if name := next(filter(None, known), None):
            self._of_weights.update({id(each): (each, name) for each in _leaves(result)})
        return result

    def _before(self, name: str, args: tuple[Any, ...]) -> None:
        """Raise for a function that must not run."""
        if name not in FUNCTIONS and name not in layouts.RESHAPES | layouts.COPIES:
            raise UnsupportedError("networks of evoopt do not have it" + _hint(name))
        if name == "embedding" and args[0].dtype.is_floating_point:
            ids = self.described(args[0])
            through = (Slice, Reshape, Flatten)
            number = self.graph.origin(ids.node, through) if isinstance(ids, Value) else None
            if number is None:
                raise UnsupportedError("its ids are not inputs")
            raise LearnedError(ids=number)

    def _argument(self, value: Any) -> Any:
        """Return an argument as functions that record take it."""
        if not isinstance(value, self._torch.Tensor):
            return value
        found = self.described(value)
        if isinstance(found, Unknown):
            raise UnsupportedError(f"a network does not return {found.name}")
        if found is not None:
            return found
        if id(value) in self._of_weights:
            raise UnsupportedError(f'it takes a tensor that is computed from "{self._of_weights[id(value)][1]}"')
        known = id(value) in self.graph.weights.names
        return value if known or value.numel() != 1 else value.item()

    def _record(self, name: str, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name in layouts.COPIES:
            found: Any = args[0]
        elif name in layouts.RESHAPES:
            found = self._reshaped(args[0], result)
        else:
            found = _called(FUNCTIONS[name], self.graph, args, kwargs)
        found = found if isinstance(found, tuple | list) else (found,)
        results = result if isinstance(result, tuple | list) else (result,)
        for tensor, described in zip(_leaves(results), found, strict=True):
            self._check(tensor, described)
            self.describe(tensor, described)

    def _reshaped(self, x: Any, result: Any) -> Value:
        if isinstance(x, States) and len(x.layers) == 1:
            x = x.layers[0]
        if not isinstance(x, Value):
            raise UnsupportedError("of the last states only one layer's can be taken")
        self._check_batch(result)
        return x.reshaped(tuple(result.shape[1:]))

    def _check(self, tensor: Any, described: Described) -> None:
        if isinstance(described, Value):
            self._check_batch(tensor)
            if described.shape != tuple(tensor.shape[1:]):
                raise UnsupportedError(f"its result has the shape {tuple(tensor.shape)}")

    def _check_batch(self, tensor: Any) -> None:
        if tensor.shape[:1] != (self._batch,):
            shape = tuple(tensor.shape)
            raise UnsupportedError(f"axis 0 must stay the batch, but {self._batch} samples have the shape {shape}")


def _called(function: Function, graph: GraphBuilder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function that records."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(graph, *args, **kwargs)
    except TypeError as error:
        raise UnsupportedError(f"it is called in a way that is not known: {error}") from error
    for name, value in bound.arguments.items():
        if signature.parameters[name].annotation is Value and not isinstance(value, Value):
            raise UnsupportedError(f"its argument {name} is not computed from the inputs")
    try:
        return function(graph, *args, **kwargs)
    except UnsupportedError:
        raise
    except ValueError as error:  # of a layer
        raise UnsupportedError(str(error).rstrip(".")) from error


def _name_of(function: Function) -> str:
    """Return the name of a function or method, without the marks of operators and of in-place ones."""
    name: str = getattr(function, "__name__", str(function))
    if name == "__get__":  # of a property
        name = function.__self__.__name__  # type: ignore[attr-defined]
    return name.strip("_")


def _hint(name: str) -> str:
    """Return advice for functions that are often used."""
    if name in ("bool", "item", "int", "float", "index", "tolist", "numpy", "array"):
        return ", because the flow of control depends on data"
    return ""


def _leaves(value: Any) -> Iterable[Any]:
    """Yield what is in nested tuples, lists and dicts."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, dict):
        yield from _leaves([*value.values()])
    else:
        yield value


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Return nested tuples, lists and dicts with a function's values in place of the leaves."""
    if isinstance(value, tuple | list):
        found = [_mapped(function, each) for each in value]
        return found if isinstance(value, list) else tuple(found)
    if isinstance(value, dict):
        return {key: _mapped(function, each) for key, each in value.items()}
    return function(value)
