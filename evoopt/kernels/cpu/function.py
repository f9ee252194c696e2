"""A user's compiled function of one number, called by its address: the built-in kernels stay one for all.

A kernel that took the function as an argument would compile again in each process. Instead a small loop
around it is compiled, and the kernels meet its address in the program's table.
"""

import math
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from evoopt.kernels.jit import JIT_DISABLED

_python_loops: dict[int, Callable[..., None]] = {}  # by "address", where the JIT is off


class ElementwiseFunction:
    """An njit function of one float, as a compiled loop in place over an array.

    Where the function raises, the array is filled with NaN, which ranks worst.

    Parameters
    ----------
    function : njit function
        Takes one float and gives one.
    dtype : numpy.dtype
        float32 or float64.

    Attributes
    ----------
    address : int
        What the program's table holds; valid while this object lives, in this process.
    """

    def __init__(self, function: Callable[[Any], Any], dtype: Any) -> None:
        if JIT_DISABLED:

            def loop(values: Any) -> None:
                for i in range(values.size):
                    values[i] = function(values[i])

            self.address = id(self)
            _python_loops[self.address] = loop
            return

        real = numba.from_dtype(dtype)

        @numba.cfunc(types.void(types.CPointer(real), types.intp), error_model="numpy")
        def compiled(pointer: Any, n: int) -> None:
            values = carray(pointer, n)
            try:
                for i in range(n):
                    values[i] = function(values[i])
            except Exception:  # (numba knows no other; C has no exceptions to pass on)
                for i in range(n):
                    values[i] = math.nan

        self._compiled = compiled  # keeps the machine code alive
        self.address = compiled.address


@intrinsic
def _call(_typing, address, values):
    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        function = ir.FunctionType(ir.VoidType(), [array.data.type, array.nitems.type])
        pointer = builder.inttoptr(arguments[0], function.as_pointer())
        builder.call(pointer, [array.data, array.nitems])
        return context.get_dummy_value()

    return types.void(types.int64, values), codegen


def _call_python(address, values):
    _python_loops[address](values)


# call_elementwise(address, values): replace each element of a 1-d array by the function of it
call_elementwise = _call_python if JIT_DISABLED else _call
