"""Groups of random numbers of a row, computed in the host's vectors of float32."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from evoopt.compiling.arrays import CACHE_LINE
from evoopt.compiling.jit import inline, twin_of
from evoopt.compiling.recorder import Lanes, element_type
from evoopt.kernels.cpu.emit.vectors import host_vectors
from evoopt.rules.philox import COLUMNS, LANES, block_words, box_muller

# (four words of each lane, dtype of the array to fill) -> the first rows of the array
Rule = Callable[[Any, Any], Sequence[Any]]


def make_fill(rule: Rule) -> Callable[..., None]:
    """Make ``fill(key, row, group, purpose, out)``, which fills `out` (COLUMNS,) by a rule.

    The rule takes the words of a group and is made of NumPy expressions. All arguments but `out`
    are uint64.
    """

    @intrinsic
    def fill(_typing, key, row, group, purpose, out):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
        ) -> ir.Value:
            data = context.make_array(out)(context, builder, arguments[4]).data
            _emit(rule, builder, arguments[:4], data, np.dtype(str(out.dtype)))
            return context.get_dummy_value()

        i = types.uint64
        return types.void(i, i, i, i, out), emit

    @twin_of(fill)
    def fill_python(key, row, group, purpose, out):
        blocks = group * np.uint64(LANES) + np.arange(LANES, dtype=np.uint64)
        for place, numbers in enumerate(rule(block_words(key, row, blocks, purpose), out.dtype)):
            out[place * LANES : (place + 1) * LANES] = numbers

    return fill_python


def _emit(
    rule: Rule, builder: ir.IRBuilder, arguments: Sequence[ir.Value], data: ir.Value, dtype: np.dtype[Any]
) -> None:
    """Emit a loop over the lanes of a group, one vector of the host at a time: one on AVX-512."""
    key, row, group, purpose = (Lanes(builder, argument, np.uint64) for argument in arguments)
    intp = key.value.type
    width = min(LANES, host_vectors().bytes // 4)
    vector = ir.VectorType(element_type(dtype), width)
    places = Lanes(builder, ir.Constant(ir.VectorType(intp, width), list(range(width))), np.uint64)
    with cgutils.for_range_slice(builder, intp(0), intp(LANES), intp(width), intp) as (lane, _):
        blocks = group * LANES + Lanes(builder, lane, np.uint64) + places
        for place, numbers in enumerate(rule(block_words(key, row, blocks, purpose), dtype)):
            at = builder.gep(data, [builder.add(lane, intp(place * LANES))])
            builder.store(numbers.value, builder.bitcast(at, vector.as_pointer()), align=dtype.itemsize)


@intrinsic
def _group_of(_typing, dtype):
    array_type = types.Array(dtype.dtype, 1, "C")

    def emit(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
    ) -> ir.Value:
        element = context.get_data_type(dtype.dtype)
        memory = cgutils.alloca_once(builder, element, COLUMNS)
        memory.align = CACHE_LINE
        numbers = COLUMNS, context.get_abi_sizeof(element)
        size, itemsize = (context.get_constant(types.intp, n) for n in numbers)
        array = context.make_array(array_type)(context, builder)
        populate_array(array, memory, [size], [itemsize], itemsize, None)
        return array._getvalue()

    return array_type(dtype), emit


@twin_of(_group_of)
def group_of(dtype):
    """Return an uninitialized array (COLUMNS,) on the kernel's stack, which takes no time."""
    return np.zeros(COLUMNS, dtype)


_fill_words = make_fill(lambda words, dtype: words)
_fill_half = make_fill(lambda words, dtype: box_muller(words[0], words[1], dtype))
_fill_normals = make_fill(
    lambda words, dtype: [*box_muller(words[0], words[1], dtype), *box_muller(words[2], words[3], dtype)]
)


@inline
def words(key, row, group, purpose, out):
    """Fill `out` (COLUMNS,) uint32 with the words of one group of blocks of a row."""
    _fill_words(key, row, np.uint64(group), np.uint64(purpose), out)


@inline
def normals(key, row, group, purpose, out, wanted=COLUMNS):
    """Fill `out` (COLUMNS,) with the normal deviates of columns [64 group, 64 group + 64) of a row.

    If only the first `wanted` are needed, the second half may be left out.
    """
    if wanted > 2 * LANES:
        _fill_normals(key, row, np.uint64(group), np.uint64(purpose), out)
    else:
        _fill_half(key, row, np.uint64(group), np.uint64(purpose), out)
