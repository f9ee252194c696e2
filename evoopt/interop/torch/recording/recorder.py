"""The recorder of a forward pass: it sees each call of a function of torch, and its tensors.

Not torch.fx: its symbols stop at ``len(x)``, at a condition on a shape, at ``*inputs`` and at
``isinstance(x, Tensor)``, which real tensors pass; and a module with a hook or with weights of its
own is recorded by the same functions as any other.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from evoopt.interop.torch.recording import layouts
from evoopt.interop.torch.recording.functions import (
    ANSWERS,
    FUNCTIONS,
    QUESTIONS,
    SIZES,
    name_of,
    own_name,
    record_call,
    writes,
)
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.nested import leaves, mapped
from evoopt.interop.torch.recording.place import place
from evoopt.interop.torch.recording.signals import UnsupportedError, learn
from evoopt.interop.torch.recording.values import STATES, States, Unknown, Value
from evoopt.interop.torch.types import Function, Tensor
from evoopt.networks.shaping import Flatten, Reshape, Slice

Described = Value | States | Unknown
ROUNDED = "it takes numbers that are rounded to whole ones, which only embeddings can"
REMEDY = "evoopt.FunctionNetwork runs any module as it is"


@dataclass(frozen=True)
class Computed:
    """A tensor that is computed from a parameter of this name, and from no input."""

    name: str


class Recorder:
    """The tensors of a forward pass, and the graph of layers that computes them.

    Functions run as ever, so that sizes are known. A tensor that no input leads to is a constant.
    Functions without a counterpart are no error until their results are needed.
    """

    def __init__(self, torch: ModuleType, graph: GraphBuilder, paths: Mapping[int, str], batch: int) -> None:
        self._torch, self.graph, self._paths, self._batch = torch, graph, paths, batch
        # keys are identities, and tensors are kept, so that none is another tensor's later
        self._described: dict[int, tuple[Any, Described, int]] = {}
        self._computed: dict[int, tuple[Any, str]] = {}  # tensors that parameters lead to
        self._calling = False
        self._unseen: Unknown | None = None
        self._rounded: set[int] = set()  # described tensors of whole numbers, which have been rounded

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record functions of torch; raise UnsupportedError if one runs unseen."""
        call, look = self._seen, self._look
        dispatch = importlib.import_module("torch.utils._python_dispatch")

        class Calls(self._torch.overrides.TorchFunctionMode):  # type: ignore[name-defined]
            def __torch_function__(
                self, function: Function, types: object, args: Any = (), kwargs: Any = None
            ) -> Any:
                return call(function, args, kwargs or {})

        class Unseen(dispatch.TorchDispatchMode):  # type: ignore[name-defined]
            def __torch_dispatch__(
                self, function: Function, types: object, args: Any = (), kwargs: Any = None
            ) -> Any:
                look(function, (args, kwargs))
                return function(*args, **(kwargs or {}))

        with Unseen(), Calls():
            yield
        if self._unseen is not None:
            raise self.error(self._unseen)

    def _seen(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Record a call, and let the operations that it leads to pass."""
        self._calling = True
        try:
            return self._call(function, args, kwargs)
        finally:
            self._calling = False

    def _look(self, function: Function, arguments: object) -> None:
        """Note the first function of inputs that no call of torch has led to."""
        if (
            not self._calling
            and self._unseen is None
            and any(id(each) in self._described for each in leaves(arguments))
        ):
            self._unseen = self._unknown(str(function), "it runs where calls cannot be seen, as in torch.jit")

    def describe(self, tensor: Tensor, described: Described) -> None:
        """Note the description of a tensor."""
        self._described[id(tensor)] = tensor, described, _version(tensor)

    def described(self, tensor: Tensor) -> Described | None:
        """Return the description of a tensor; None for a constant."""
        _, found, version = self._described.get(id(tensor), (None, None, 0))
        if found is not None and version != _version(tensor):
            return self._unknown("a tensor", "it is written by way of another one, which shares its memory")
        return found

    def _call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(function)
        tensors = [each for each in leaves((args, kwargs)) if isinstance(each, self._torch.Tensor)]
        described = [*filter(None, map(self.described, tensors))]
        if not described:
            return self._constant(function, args, kwargs, tensors)
        unknown = next((each for each in described if isinstance(each, Unknown)), None)
        if own_name(function) in ANSWERS:
            raise self.error(self._unknown(name, "the flow of control must not depend on data"))
        if name in QUESTIONS:
            if unknown and name in SIZES and tensors[0].shape[:1] != (self._batch,):
                raise self.error(unknown)
            return function(*args, **kwargs)
        if not args and "input" in kwargs:
            args, kwargs = (kwargs["input"],), {key: kwargs[key] for key in kwargs if key != "input"}
        self._before(name, args, kwargs)
        described_args = mapped(self._argument, (args, kwargs))  # the function may write into them
        result = function(*args, **kwargs)
        try:
            found = unknown or self._record(name, result, *described_args)
        except UnsupportedError as error:
            found = self._unknown(name, str(error))
        if self._rounds(name, tensors, result):
            found = self._unknown(name, ROUNDED)
        if isinstance(found, Unknown) and writes(function):
            raise self.error(found)
        self._describe_all(name, result, found)
        return result

    def _rounds(self, name: str, tensors: Sequence[Tensor], result: object) -> bool:
        """Return whether a result depends on rounding, as the rows of an embedding may."""
        rounds = name in layouts.COPIES and tensors[0].is_floating_point()
        if not rounds and not any(id(tensor) in self._rounded for tensor in tensors):
            return False
        results = [each for each in leaves(result) if isinstance(each, self._torch.Tensor)]
        self._rounded.update(id(each) for each in results if not each.is_floating_point())
        return name != "embedding" and not rounds and any(each.is_floating_point() for each in results)

    def _unknown(self, name: str, reason: str) -> Unknown:
        return Unknown(reason, f"{name}{place(self._paths)}")

    def error(self, unknown: Unknown) -> UnsupportedError:
        """Return the error for a tensor that is needed."""
        return UnsupportedError(
            f"The module has no counterpart among networks: {unknown.place}: {unknown.reason}; {REMEDY}."
        )

    def _constant(
        self, function: Function, args: Any, kwargs: Mapping[str, Any], tensors: Iterable[Tensor]
    ) -> Any:
        """Call a function of no input; keep in mind which tensors parameters lead to."""
        names, parameters = self.graph.weights.names, self.graph.weights.parameters
        known = (
            names[id(t)] if id(t) in parameters else self._computed.get(id(t), ("", ""))[1] for t in tensors
        )
        name = next(filter(None, known), None)
        if name and (writes(function) or own_name(function) in ANSWERS):
            reason = f'"{name}" evolves, so that a network can neither write into it nor depend on its number'
            raise self.error(self._unknown(name_of(function), reason))
        result = function(*args, **kwargs)
        if name:
            for tensor in tensors if isinstance(result, self._torch.Tensor) else ():
                self.graph.weights.view(tensor, result)
            new = [each for each in leaves(result) if id(each) not in names]
            self._computed.update({id(each): (each, name) for each in new})
        return result

    def _before(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Look at embeddings, which fail for inputs of floats, and may change their weights."""
        if name == "embedding" and args and isinstance(ids := self.described(args[0]), Value):
            if kwargs.get("max_norm") is not None:
                raise self.error(self._unknown(name, "max_norm must be None"))
            number = self.graph.origin(ids.node, (Slice, Reshape, Flatten))
            if args[0].dtype.is_floating_point and number is not None:
                learn(number, self.graph.facts.ids)

    def _argument(self, value: Any) -> Any:
        """Return an argument as functions that record take it."""
        found = self.described(value)
        if found is not None or not isinstance(value, self._torch.Tensor):
            value = value.item() if isinstance(value, np.generic) else value
            return value if found is None else found
        if id(value) in self._computed:
            return Computed(self._computed[id(value)][1])
        return value if id(value) in self.graph.weights.names or value.numel() != 1 else value.item()

    def rounded(self, tensor: Tensor) -> bool:
        """Return whether a tensor has been rounded to whole numbers."""
        return id(tensor) in self._rounded

    def _record(self, name: str, result: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Add a function to the graph; return the values of its results."""
        computed = next((each for each in leaves((args, kwargs)) if isinstance(each, Computed)), None)
        if computed is not None:
            raise UnsupportedError(f'it takes a tensor that is computed from "{computed.name}"')
        if name in layouts.COPIES:
            return args[0]
        if name in layouts.RESHAPES:
            return self._reshaped(args[0], result)
        if name not in FUNCTIONS:
            raise UnsupportedError("networks of evoopt do not have this function")
        return record_call(FUNCTIONS[name], self.graph, args, kwargs)

    def _describe_all(self, name: str, result: object, found: Any) -> None:
        """Note the descriptions of a function's results."""
        tensors = [each for each in leaves(result) if isinstance(each, self._torch.Tensor)]
        if isinstance(found, Described):
            found = [found] * len(tensors)
        for tensor, described in zip(tensors, found, strict=True):
            self.describe(tensor, self._checked(name, tensor, described))

    def _checked(self, name: str, tensor: Tensor, described: Described) -> Described:
        """Return the description of a result, unknown if its first axis is not the batch."""
        if isinstance(described, Unknown) and described.place is None:
            return self._unknown(name, described.reason)
        if not isinstance(described, Value) or tuple(tensor.shape) == (self._batch, *described.shape):
            return described
        return self._unknown(name, self._moved(tensor))

    def _reshaped(self, x: object, result: Tensor) -> Value:
        if isinstance(x, States) and len(x.layers) == 1:
            x = x.layers[0]
        if not isinstance(x, Value):
            raise UnsupportedError(STATES)
        if result.shape[:1] != (self._batch,):
            raise UnsupportedError(self._moved(result))
        return x.reshaped(tuple(result.shape[1:]))

    def _moved(self, tensor: Tensor) -> str:
        return f"axis 0 must stay the batch, but {self._batch} samples have the shape {tuple(tensor.shape)}"


def _version(tensor: Tensor) -> int:
    """Return how often a tensor has been written, by itself or by a view of it."""
    return 0 if tensor.is_inference() else int(tensor._version)
