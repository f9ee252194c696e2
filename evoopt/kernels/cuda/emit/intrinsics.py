"""Functions that numba-cuda does not have: random numbers, wide loads, one fast division.

Each has a twin in plain Python, for the simulator.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import DTypeLike

from evoopt.kernels.cuda.emit.scalar import Scalar
from evoopt.kernels.cuda.runtime.jit import twin_of
from evoopt.rules.philox import block_words, box_muller

Rule = Callable[[Any, Any], Sequence[Any]]  # (four words, dtype) -> four numbers


def make_quad(
    rule: Rule, dtype: DTypeLike, result: DTypeLike | None = None
) -> Callable[..., tuple[Any, ...]]:
    """Make ``quad(key, row, number, purpose) -> four numbers`` from a rule for words of Philox.

    All arguments are uint64. The rule computes numbers of `dtype`; the four have the dtype
    `result`, by default the same.
    """
    real = np.dtype(dtype)
    four = types.UniTuple(from_dtype(np.dtype(result or dtype)), 4)

    @intrinsic
    def quad(_typing, key, row, number, purpose):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            words = block_words(*(Scalar(builder, argument, np.uint64) for argument in arguments))
            return context.make_tuple(builder, four, [number.value for number in rule(words, real)])

        return four(*[types.uint64] * 4), emit

    @twin_of(quad)
    def quad_python(key, row, number, purpose):
        counter = (np.array([np.uint64(word)]) for word in (row, number, purpose))
        return tuple(numbers[0] for numbers in rule(block_words(np.uint64(key), *counter), real))

    return quad_python


def _normals(words: Sequence[Any], dtype: DTypeLike) -> Sequence[Any]:
    return *box_muller(words[0], words[1], dtype), *box_muller(words[2], words[3], dtype)


# four words, uint32, and four normal deviates
words = make_quad(lambda words, dtype: words, np.uint32)
_NORMALS = {4: make_quad(_normals, np.float32), 8: make_quad(_normals, np.float64)}


def normals_of(dtype: DTypeLike) -> Callable[..., tuple[Any, ...]]:
    """Return ``normals(key, row, number, purpose)``, four normal deviates of a dtype."""
    return _NORMALS[np.dtype(dtype).itemsize]


@functools.cache
def load_of(width: int) -> Callable[..., tuple[Any, ...]]:
    """Return ``load(array, index)``, which reads `width` float32 in one access: 1, 2 or 4.

    The array is 1-d and begins at a multiple of their bytes; the index is a multiple of `width`.
    """

    @intrinsic
    def load(_typing, array, index):
        numbers = types.UniTuple(array.dtype, width)

        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            found = load_vector(builder, address_of(context, builder, array, arguments), width)
            return context.make_tuple(builder, numbers, found)

        return numbers(array, types.intp), emit

    @twin_of(load)
    def load_python(array, index):
        assert index % width == 0, "a vector begins at a multiple of its width"
        return tuple(array[index + i] for i in range(width))

    return load_python


load4 = load_of(4)


@intrinsic
def _store4(_typing, array, index, a, b, c, d):
    def emit(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        store_vector(builder, address_of(context, builder, array, arguments), arguments[2:])
        return context.get_dummy_value()

    return types.void(array, types.intp, *[array.dtype] * 4), emit


@twin_of(_store4)
def store4(array, index, a, b, c, d):
    """Write four float32, as `load4` reads them."""
    assert index % 4 == 0, "a vector begins at a multiple of four"
    for i, value in enumerate((a, b, c, d)):
        array[index + i] = value


def address_of(
    context: BaseContext, builder: ir.IRBuilder, array: types.Array, arguments: Sequence[ir.Value]
) -> ir.Value:
    """Emit the address of a number; `arguments` are an array and an index."""
    return builder.gep(context.make_array(array)(context, builder, arguments[0]).data, [arguments[1]])


def load_vector(builder: ir.IRBuilder, address: ir.Value, n: int) -> list[ir.Value]:
    """Emit a read of n float32 in one access; the address is a multiple of their bytes."""
    vector = builder.load(_as_vector(builder, address, n), align=4 * n)
    return [builder.extract_element(vector, ir.Constant(ir.IntType(32), i)) for i in range(n)]


def store_vector(builder: ir.IRBuilder, address: ir.Value, values: Sequence[ir.Value]) -> None:
    """Emit a write of float32 in one access; the address is a multiple of their bytes."""
    n = len(values)
    vector = ir.Constant(ir.VectorType(ir.FloatType(), n), ir.Undefined)
    for i, value in enumerate(values):
        vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), i))
    builder.store(vector, _as_vector(builder, address, n), align=4 * n)


def _as_vector(builder: ir.IRBuilder, address: ir.Value, n: int) -> ir.Value:
    return builder.bitcast(address, ir.VectorType(ir.FloatType(), n).as_pointer(address.type.addrspace))


@intrinsic
def _quotient(_typing, a, b):
    def emit(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        single = ir.FloatType()
        signature = ir.FunctionType(single, [single, single])
        divide = cgutils.get_or_insert_function(builder.module, signature, "llvm.nvvm.div.approx.f")
        return builder.call(divide, arguments)

    return types.float32(types.float32, types.float32), emit


@twin_of(_quotient)
def quotient(a, b):
    """Divide float32 to two units in the last place, for |b| from 2^-126 to 2^126."""
    return a / b
