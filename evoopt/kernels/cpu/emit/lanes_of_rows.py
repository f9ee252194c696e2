"""Dense layers for one sample of each row, with as many rows as a vector has lanes."""

import functools
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.jit import twin_of
from evoopt.kernels.cpu.emit.matrix import operands
from evoopt.kernels.cpu.emit.vectors import VectorCode, tile_shape


def make_lanes(outputs: int) -> Callable[..., None]:
    """Make ``lanes(a, x, bias, y, n)``, which writes rows o < `outputs` of y = bias + a x.

    y[o] = bias[o] + sum over i < n of a[o, i] * x[0, i]. All operands are a `Matrix` of vectors,
    which have one number for each row of the population.
    """

    @intrinsic
    def lanes(_typing, a, x, bias, y, n):
        return types.void(a, x, bias, y, types.intp), functools.partial(_emit_lanes, outputs)

    @twin_of(lanes)
    def lanes_python(a, x, bias, y, n):
        width = tile_shape(y.data.dtype)[1]
        for o in range(outputs):
            total = y.data[y.start + o * y.row :][:width]
            total[:] = bias.data[bias.start + o * bias.row :][:width]
            for i in range(n):
                weights = a.data[a.start + o * a.row + i * a.stride :][:width]
                total += x.data[x.start + i * x.stride :][:width] * weights

    return lanes_python


def _emit_lanes(
    outputs: int,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    a, x, bias, y = operands(context, builder, signature, arguments)
    n = arguments[4]
    code, offset = VectorCode(context, builder, y.dtype), n.type
    sums = [cgutils.alloca_once_value(builder, code.load(bias.data, at)) for at in bias.rows(outputs)]
    with cgutils.for_range_slice(builder, offset(0), n, offset(1), offset) as (i, _):
        value = code.load(x.data, builder.add(x.start, builder.mul(i, x.stride)))
        column = builder.mul(i, a.stride)
        for total, row in zip(sums, a.rows(outputs), strict=True):
            weight = code.load(a.data, builder.add(row, column))
            builder.store(code.multiply_add(value, weight, builder.load(total)), total)
    for total, at in zip(sums, y.rows(outputs), strict=True):
        code.store(builder.load(total), y.data, at)
    return context.get_dummy_value()
