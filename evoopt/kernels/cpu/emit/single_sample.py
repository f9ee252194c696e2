"""A single sample times a matrix, in LLVM vectors.

The sum over the reduction is split into parts that do not wait for each other. A single chain of
multiply-adds would take four times as long, because each waits for the latency of the last.
"""

import functools
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.jit import twin_of
from evoopt.kernels.cpu.emit.matrix import along, operands
from evoopt.kernels.cpu.emit.vectors import AHEAD, VectorCode, tile_shape

PARTS = 4


def make_single_sample(vectors: int) -> Callable[..., None]:
    """Make ``product(a, x, bias, y, adds, n, columns)``, which writes one row y = bias + a x.

    y[v] = bias[v] + sum over i < n of a[0, i] * x[v, i]. All operands are a `Matrix`, as in
    `register_tile`. The row has so many `columns`: all lanes of `vectors`, or if there is one
    vector, at most its lanes. With `adds` the products are added to y instead.
    """

    @intrinsic
    def product(_typing, a, x, bias, y, adds, n, columns):
        signature = types.void(a, x, bias, y, types.boolean, types.intp, types.intp)
        return signature, functools.partial(_emit_product, vectors)

    @twin_of(product)
    def product_python(a, x, bias, y, adds, n, columns):
        lanes = tile_shape(y.data.dtype)[1]
        for v in range(vectors):
            row = y.data[y.start + v * y.stride :][: min(columns, lanes)]
            if not adds:
                row[:] = bias.data[bias.start + v * bias.stride :][: len(row)]
            for i in range(n):
                numbers = x.data[x.start + v * x.row + i * x.stride :]
                row += a.data[a.start + i * a.stride] * numbers[: len(row)]

    return product_python


def _emit_product(
    vectors: int,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    a, x, bias, y = operands(context, builder, signature, arguments)
    adds, n, columns = arguments[4:]
    code, offset = VectorCode(context, builder, y.dtype), n.type
    if vectors == 1:
        code.use_only(columns)
    zero = ir.Constant(code.type, None)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(PARTS)]
    data, start, stride = (
        builder.select(adds, *each)
        for each in ((y.data, bias.data), (y.start, bias.start), (y.stride, bias.stride))
    )
    for total, at in zip(sums[0], along(builder, start, stride, vectors), strict=True):
        builder.store(code.load(data, at), total)

    def add(i: ir.Value, part: int) -> None:
        at = builder.add(a.start, builder.mul(i, a.stride))
        factor = code.broadcast(builder.load(builder.gep(a.data, [at])))
        column = builder.add(x.start, builder.mul(i, x.stride))
        for total, at in zip(sums[part], along(builder, column, x.row, vectors), strict=True):
            if vectors > 1:  # reads of weights may be the limit of a wide layer
                code.prefetch(x.data, builder.add(at, offset(AHEAD // code.itemsize)))
            builder.store(code.multiply_add(factor, code.load(x.data, at), builder.load(total)), total)

    in_parts = builder.and_(n, offset(-PARTS))
    with cgutils.for_range_slice(builder, offset(0), in_parts, offset(PARTS), offset) as (i, _):
        for part in range(PARTS):
            add(builder.add(i, offset(part)), part)
    with cgutils.for_range_slice(builder, in_parts, n, offset(1), offset) as (i, _):
        add(i, 0)
    for k, at in enumerate(along(builder, y.start, y.stride, vectors)):
        one, two, three, four = (builder.load(part[k]) for part in sums)
        total = builder.fadd(builder.fadd(one, two), builder.fadd(three, four))
        code.store(total, y.data, at)
    return context.get_dummy_value()
