"""The transposition of feature-major tiles to the sample-major layout that users get.

A square of L features x L samples (a register has L lanes) is transposed in registers by log2(L)
rounds of shuffles: round d exchanges the elements whose feature and sample differ in bit d.
"""

from collections.abc import Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.jit import inline, twin_of
from evoopt.kernels.cpu.emit.vectors import VectorCode


@intrinsic
def _store_square(_typing, tile, start, stride, features, out, out_start, out_stride, samples):
    i = types.intp
    return i(tile, i, i, i, out, i, i, i), _emit_store_square


def _emit_store_square(
    context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
) -> ir.Value:
    tile, out = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 4))
    _, start, stride, features, _, out_start, out_stride, samples = arguments
    code, offset, int32 = VectorCode(context, builder, signature.args[0].dtype), features.type, ir.IntType(32)
    lanes, indices = range(code.lanes), ir.VectorType(int32, code.lanes)

    rows = []
    last = builder.sub(features, offset(1))
    for f in lanes:  # the last feature again beyond it: it is in memory, and masked later
        row = builder.select(builder.icmp_signed("<", offset(f), last), offset(f), last)
        rows.append(code.load(tile, builder.add(start, builder.mul(row, stride))))

    bit = 1
    while bit < code.lanes:
        lower = ir.Constant(indices, [k if not k & bit else code.lanes + (k ^ bit) for k in lanes])
        upper = ir.Constant(indices, [k | bit if not k & bit else code.lanes + k for k in lanes])
        for f in lanes:
            if not f & bit:
                pair = rows[f], rows[f | bit]
                rows[f], rows[f | bit] = (builder.shuffle_vector(*pair, mask) for mask in (lower, upper))
        bit *= 2

    wanted = code.broadcast(builder.trunc(features, int32))
    mask = builder.icmp_signed("<", ir.Constant(indices, list(lanes)), wanted)
    masked_store = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [code.type, code.type.as_pointer(), int32, mask.type]),
        f"llvm.masked.store.{code.name}.p0",
    )
    for s in lanes:
        with builder.if_then(builder.icmp_signed("<", offset(s), samples)):
            at = builder.add(out_start, builder.mul(offset(s), out_stride))
            builder.call(masked_store, [rows[s], code.pointer(out, at), int32(code.itemsize), mask])
    return offset(code.lanes)


@twin_of(_store_square)
def store_square(tile, start, stride, features, out, out_start, out_stride, samples):
    """Write ``out[out_start + s * out_stride + f] = tile[start + f * stride + s]``, and return L.

    There are at most L features f and samples s.
    """
    lanes = 4
    for s in range(min(lanes, samples)):
        for f in range(min(lanes, features)):
            out[out_start + s * out_stride + f] = tile[start + f * stride + s]
    return lanes


@inline
def store_samples(tile, width, features, samples, out, out_start):
    """Write a feature-major `tile` (features * width,) into `out` as (samples, features)."""
    s = 0
    while s < samples:
        f, lanes = 0, 1
        while f < features:
            start, at = f * width + s, out_start + s * features + f
            lanes = store_square(tile, start, width, features - f, out, at, features, samples - s)
            f += lanes
        s += lanes
