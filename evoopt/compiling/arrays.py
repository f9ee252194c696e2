"""Arrays as kernels take them: one layout, aligned memory, and uses that are not counted."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evoopt.compiling.jit import twin_of

CACHE_LINE = 64  # bytes; also the width of the widest vector register


class _Writable:
    """A read-only array under the type of a writable one; kernels only read their inputs."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def kernel_array(array: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return an array in the layout that kernels take: C order, aligned, writable.

    Another layout or a read-only flag would be another type, hence another compilation. Only an
    array of another dtype or order is copied.
    """
    if type(array) is np.ndarray and array.dtype == dtype and array.flags.carray:
        return array  # the usual case; np.require takes a microsecond
    with np.errstate(over="ignore"):  # larger numbers become infinity in float32
        result = np.require(array, dtype=dtype, requirements=["C", "A"])
    return result if result.flags.writeable else np.asarray(_Writable(result))


@register_jitable
def aligned_empty(rows, columns, like):
    """Uninitialised (rows, columns) of the dtype of the array `like`, its start on a cache line."""
    size = rows * columns
    buffer = np.empty(size + CACHE_LINE // like.itemsize, like.dtype)
    start = (-buffer.ctypes.data % CACHE_LINE) // like.itemsize
    return buffer[start : start + size].reshape(rows, columns)


def without_owner(builder: ir.IRBuilder, array: ir.Value) -> ir.Value:
    """Return an array without reference counts, valid while somebody else owns it."""
    owner = array.type.elements[0]  # (the first field)
    return builder.insert_value(array, ir.Constant(owner, None), 0)


@intrinsic
def _borrowed(_typing, arrays):
    def codegen(context, builder, signature, arguments):
        value = arguments[0]
        if isinstance(arrays, types.Array):
            return without_owner(builder, value)
        for i, kind in enumerate(arrays):
            if isinstance(kind, types.Array):
                array = without_owner(builder, builder.extract_value(value, i))
                value = builder.insert_value(value, array, i)
        return value

    return arrays(arrays), codegen


@twin_of(_borrowed)
def borrowed(arrays):
    """Return the same array, or tuple of arrays and numbers, without reference counts.

    Counting is atomic, and threads that count views of one array wait for each other longer than a
    small operation takes.
    """
    return arrays


@intrinsic
def _keep(_typing, *owners):
    signature = types.void(types.StarArgTuple.from_types(owners))
    return signature, lambda context, builder, signature, arguments: context.get_dummy_value()


@twin_of(_keep)
def keep(*owners):
    """Keep arrays, or tuples of them, alive up to this line for those who borrowed from them."""
