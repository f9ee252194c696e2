"""The operations of a network as machine code behind addresses.

A kernel with every kind of layer would take long to compile, and a kernel with a user's function as
argument would compile again in each process. Instead each operation's code is a kernel of its own,
compiled when a network first needs it, and the program's table has its address. Losses are called
in the same way.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.arrays import without_owner
from evoopt.compiling.jit import closure, inline, is_kernel, kernel, twin_of
from evoopt.kernels.cpu.networks.program import INPUTS, OUTPUTS, PARAMETERS

_python_code: dict[int, Callable[..., None]] = {}  # keys: "addresses"; used without the JIT


class Code(ABC):
    """A kernel that others call by its address; the same parameters make two interchangeable.

    Parameters
    ----------
    function : callable
        A function that numba can compile, or a kernel; it returns a `returns`, by default nothing.
    refusal : str, optional
        The error if a user's function, which the code is made around, does not compile. Such code
        is not in the disk cache.
    """

    returns: types.Type = types.void

    def __init__(self, function: Callable[..., Any], refusal: str | None = None) -> None:
        self.function = function
        if refusal is not None:
            self._kernel: Any = closure(function)
        else:
            self._kernel = function if is_kernel(function) else kernel(function, allocates=False)
        self._refusal = refusal
        self._addresses: dict[Any, int] = {}

    @staticmethod
    @abstractmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        """Return the types of the parameters, for a type of arrays of numbers."""

    def _compiled_address(self, dtype: "np.dtype[Any]") -> int:
        if dtype not in self._addresses:
            arguments = self.parameters(types.Array(numba.from_dtype(dtype), 1, "C"))
            self._compile(self.returns(*arguments), dtype)
            compiled = self._kernel.overloads[arguments]
            name = compiled.fndesc.llvm_func_name
            self._addresses[dtype] = compiled.library.get_pointer_to_function(name)
        return self._addresses[dtype]

    @twin_of(_compiled_address)
    def address(self, dtype: "np.dtype[Any]") -> int:
        """Return the code's address for a precision, valid in this process while `self` lives."""
        _python_code[id(self)] = self._kernel
        return id(self)

    def _compile(self, signature: Signature, dtype: "np.dtype[Any]") -> None:
        try:
            self._kernel.compile(signature)
        except Exception as error:  # any error of the compiler: nothing runs here
            if self._refusal is None:
                raise
            raise ValueError(f"{self._refusal} It was compiled for {dtype}: {error}.") from error


class OperationCode(Code):
    """An operation's ``code(op, row, frozen, x, y, state, scratch, count, width)``.

    All arrays are 1-d. `op` is the operation's row of the program's table. The code makes `count`
    tiles of y (n_out, width) from `count` tiles of x (n_in, width), the numbers of `width` samples
    side by side; with a width of 1 one sample follows the other. `state` has `count` tiles that the
    layer keeps from call to call, and `scratch` is working memory.
    """

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return (types.Array(types.int64, 1, "C"), *[numbers] * 6, types.intp, types.intp)


def elementwise(function: Callable[[Any], Any]) -> OperationCode:
    """Make the code that applies a user's njit function of one number to each element, in place.

    If the function raises, all elements become NaN, which ranks worst.
    """

    def apply(op, row, frozen, x, y, state, scratch, count, width):
        n = count * width * op[OUTPUTS]
        try:
            for i in range(n):
                y[i] = function(y[i])
        except Exception:  # numba knows no other
            for i in range(n):
                y[i] = np.nan

    return OperationCode(apply, f"activation must take one number and return one, but {function} does not.")


def caller(returns: types.Type) -> Any:
    """Make ``call(address, *arguments)``, which runs the code there and returns its result.

    Nothing checks the types of the arguments.
    """

    @intrinsic
    def call(_typing, address, *arguments):
        parameters = [types.intp if isinstance(kind, types.Integer) else kind for kind in arguments]

        def codegen(context, builder, signature, values):
            given = cgutils.unpack_tuple(builder, values[1])
            given = [
                context.cast(builder, *each)
                for each in zip(given, signature.args[1], parameters, strict=True)
            ]
            given = [
                without_owner(builder, value) if isinstance(kind, types.Array) else value
                for value, kind in zip(given, parameters, strict=True)
            ]
            function = context.call_conv.get_function_type(returns, parameters)
            pointer = builder.inttoptr(values[0], function.as_pointer())
            status, result = context.call_conv.call_function(builder, pointer, returns, parameters, given)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value() if returns == types.void else result

        return returns(types.int64, types.StarArgTuple.from_types(arguments)), codegen

    @twin_of(call)
    def call_python(address, *arguments):
        return _python_code[address](*arguments)

    return call_python


call = caller(types.void)


class Parameter(NamedTuple):
    """A parameter of an operation: the array that has it, and its place there."""

    data: Any
    start: int


@inline
def parameter(op, k, row, frozen):
    """Return parameter k of an operation."""
    return Parameter(frozen if op[PARAMETERS + 2 * k + 1] else row, op[PARAMETERS + 2 * k])


@functools.lru_cache(maxsize=64)
def by_tile(function: Callable[..., None], sizes: tuple[int, ...]) -> OperationCode:
    """Make the code that calls a user's njit ``function(x, y, *parameters)`` for each tile.

    x is (n_in, width) and y (n_out, width); the parameters are 1-d, of the given sizes. If the
    function raises, all outputs are NaN, which ranks worst.
    """

    def call(op, row, frozen, x, y, *parameters):
        function(x, y, *parameters)

    for k in reversed(range(len(sizes))):
        call = _give_parameter(closure(call), k, sizes[k])
    call = closure(call)

    def apply(op, row, frozen, x, y, state, scratch, count, width):
        n_in, n_out = op[INPUTS], op[OUTPUTS]
        try:
            for t in range(count):
                inputs = x[t * n_in * width : (t + 1) * n_in * width].reshape(n_in, width)
                outputs = y[t * n_out * width : (t + 1) * n_out * width].reshape(n_out, width)
                call(op, row, frozen, inputs, outputs)
        except Exception:  # numba knows no other
            for i in range(count * width * n_out):
                y[i] = np.nan

    return OperationCode(
        apply,
        f"The function of a layer must take arrays x (n_in, width) and y (n_out, width) and {len(sizes)} "
        f"parameters (size,), but {function} does not.",
    )


def _give_parameter(call, k, size):
    """Make a `call` with parameter k after the parameters that it has already."""

    def give(op, row, frozen, x, y, *parameters):
        array, start = parameter(op, k, row, frozen)
        call(op, row, frozen, x, y, *parameters, array[start : start + size])

    return give
