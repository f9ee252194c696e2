"""Products of a single sample with a matrix, in LLVM vectors.

One row of numbers times a matrix: the sum over the reduction is split into parts that do not wait for each
other. One chain of multiply-adds would take their latency for each number, four times as long as the
arithmetic. And one sample each of as many individuals as a vector has lanes, with their weights side by side.
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
from evoopt.kernels.cpu.emit.simd import AHEAD, VectorCode, host_vectors, tile_shape

PARTS = 4


def _make_row(vectors: int) -> Callable[..., None]:
    """Make ``row(x, x_start, n, w, w_start, w_step, bias, bias_start, adds, y, y_start, columns)``.

    It writes y = bias + sum_i x[i] W[i, :] for so many columns: those of all `vectors`, or of one vector at
    most as many as it has. With `adds` y is added to instead. All arrays are 1-d.
    """

    @intrinsic
    def row(_typing, x, x_start, n, w, w_start, w_step, bias, bias_start, adds, y, y_start, columns):
        i = types.intp
        signature = types.void(x, i, i, w, i, i, bias, i, types.boolean, y, i, i)
        return signature, functools.partial(_emit_row, vectors)

    @twin_of(row)
    def row_python(x, x_start, n, w, w_start, w_step, bias, bias_start, adds, y, y_start, columns):
        out = y[y_start:][: min(columns, vectors * tile_shape(y.dtype)[1])]
        if not adds:
            out[:] = bias[bias_start:][: len(out)]
        for i in range(n):
            out += x[x_start + i] * w[w_start + i * w_step :][: len(out)]

    return row_python


def _emit_row(
    n_vectors: int,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    x, w, bias, y = (
        context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3, 6, 9)
    )
    _, x_start, n, _, w_start, w_step, _, bias_start, adds, _, y_start, columns = arguments
    code, offset = VectorCode(context, builder, signature.args[0].dtype), n.type
    if n_vectors == 1:
        code.use_only(columns)
    vectors = [offset(v * code.lanes) for v in range(n_vectors)]
    zero = ir.Constant(code.type, None)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in vectors] for _ in range(PARTS)]
    data, start = builder.select(adds, y, bias), builder.select(adds, y_start, bias_start)
    for total, v in zip(sums[0], vectors, strict=True):
        builder.store(code.load(data, builder.add(start, v)), total)

    def add(i: ir.Value, part: int) -> None:
        factor = code.broadcast(builder.load(builder.gep(x, [builder.add(x_start, i)])))
        weights = builder.add(w_start, builder.mul(i, w_step))
        for total, v in zip(sums[part], vectors, strict=True):
            at = builder.add(weights, v)
            if n_vectors > 1:  # a wide layer: reading the weights may be the limit
                code.prefetch(w, builder.add(at, offset(AHEAD // code.itemsize)))
            builder.store(code.multiply_add(factor, code.load(w, at), builder.load(total)), total)

    in_parts = builder.and_(n, offset(-PARTS))
    with cgutils.for_range_slice(builder, offset(0), in_parts, offset(PARTS), offset) as (i, _):
        for part in range(PARTS):
            add(builder.add(i, offset(part)), part)
    with cgutils.for_range_slice(builder, in_parts, n, offset(1), offset) as (i, _):
        add(i, 0)
    for k, v in enumerate(vectors):
        one, two, three, four = (builder.load(part[k]) for part in sums)
        total = builder.fadd(builder.fadd(one, two), builder.fadd(three, four))
        code.store(total, y, builder.add(y_start, v))
    return context.get_dummy_value()


row_tile = _make_row(host_vectors().of_tile)
row_pair, row_strip = _make_row(2), _make_row(1)


def _make_lanes(outputs: int) -> Callable[..., None]:
    """Make ``lanes(x, x_start, n, w, w_start, w_step, bias, bias_start, y, y_start)``.

    Each array holds vectors, one number for each individual: y[o] = bias[o] + sum_i x[i] * W[i, o] for o <
    `outputs`. Positions and `w_step`, between the rows of W, count numbers.
    """

    @intrinsic
    def lanes(_typing, x, x_start, n, w, w_start, w_step, bias, bias_start, y, y_start):
        i = types.intp
        signature = types.void(x, i, i, w, i, i, bias, i, y, i)
        return signature, functools.partial(_emit_lanes, outputs)

    @twin_of(lanes)
    def lanes_python(x, x_start, n, w, w_start, w_step, bias, bias_start, y, y_start):
        width = tile_shape(y.dtype)[1]
        size = outputs * width
        total = bias[bias_start:][:size].reshape(outputs, width).copy()
        for i in range(n):
            weights = w[w_start + i * w_step :][:size].reshape(outputs, width)
            total += x[x_start + i * width :][:width] * weights
        y[y_start:][:size] = total.reshape(-1)

    return lanes_python


def _emit_lanes(
    outputs: int,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    x, w, bias, y = (
        context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3, 6, 8)
    )
    _, x_start, n, _, w_start, w_step, _, bias_start, _, y_start = arguments
    code, offset = VectorCode(context, builder, signature.args[0].dtype), n.type
    places = [offset(o * code.lanes) for o in range(outputs)]
    sums = [cgutils.alloca_once_value(builder, code.load(bias, builder.add(bias_start, at))) for at in places]
    with cgutils.for_range_slice(builder, offset(0), n, offset(1), offset) as (i, _):
        value = code.load(x, builder.add(x_start, builder.mul(i, offset(code.lanes))))
        weights = builder.add(w_start, builder.mul(i, w_step))
        for total, at in zip(sums, places, strict=True):
            weight = code.load(w, builder.add(weights, at))
            builder.store(code.multiply_add(value, weight, builder.load(total)), total)
    for total, at in zip(sums, places, strict=True):
        code.store(builder.load(total), y, builder.add(y_start, at))
    return context.get_dummy_value()


MANY = 4 * host_vectors().of_tile  # sums, of the registers of a vector tile
lanes_many, lanes4, lanes1 = _make_lanes(MANY), _make_lanes(4), _make_lanes(1)
