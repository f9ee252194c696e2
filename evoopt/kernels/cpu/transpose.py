"""Outputs from a feature-major tile to the sample-major layout that users get, in vector registers.

A block of L features x L samples (L lanes to a register) is transposed by log2(L) rounds of shuffles: round d
exchanges the elements whose feature and sample differ in bit d.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evoopt.kernels.cpu.simd import host_vectors
from evoopt.kernels.jit import JIT_DISABLED, inline


@intrinsic
def _store_block(_typing, tile, start, step, features, out, out_start, out_step, samples):
    i = types.intp
    return i(tile, i, i, i, out, i, i, i), _emit_store_block


def _emit_store_block(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
    tile, out = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 4))
    _, start, step, features, _, out_start, out_step, samples = arguments
    element = context.get_value_type(signature.args[0].dtype)
    itemsize = context.get_abi_sizeof(element)
    lanes = host_vectors()[0] // itemsize
    offset, int32 = features.type, ir.IntType(32)
    vector, indices = ir.VectorType(element, lanes), ir.VectorType(int32, lanes)

    def pointer(data: ir.Value, at: ir.Value) -> ir.Value:
        return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())

    rows = []
    last = builder.sub(features, offset(1))
    for f in range(lanes):  # beyond the last feature the last again: what must be in memory, and is masked
        row = builder.select(builder.icmp_signed("<", offset(f), last), offset(f), last)
        rows.append(builder.load(pointer(tile, builder.add(start, builder.mul(row, step))), align=itemsize))

    bit = 1
    while bit < lanes:
        lower = ir.Constant(indices, [k if not k & bit else lanes + (k ^ bit) for k in range(lanes)])
        upper = ir.Constant(indices, [k | bit if not k & bit else lanes + k for k in range(lanes)])
        for f in range(lanes):
            if not f & bit:
                pair = rows[f], rows[f | bit]
                rows[f], rows[f | bit] = (builder.shuffle_vector(*pair, mask) for mask in (lower, upper))
        bit *= 2

    wanted = ir.Constant(indices, ir.Undefined)
    wanted = builder.insert_element(wanted, builder.trunc(features, int32), int32(0))
    wanted = builder.shuffle_vector(wanted, wanted, ir.Constant(indices, [0] * lanes))
    mask = builder.icmp_signed("<", ir.Constant(indices, list(range(lanes))), wanted)
    masked_store = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), int32, mask.type]),
        f"llvm.masked.store.v{lanes}f{8 * itemsize}.p0",
    )
    for s in range(lanes):
        with builder.if_then(builder.icmp_signed("<", offset(s), samples)):
            at = builder.add(out_start, builder.mul(offset(s), out_step))
            builder.call(masked_store, [rows[s], pointer(out, at), int32(itemsize), mask])
    return offset(lanes)


def _store_block_python(tile, start, step, features, out, out_start, out_step, samples):
    lanes = 4
    for s in range(min(lanes, samples)):
        for f in range(min(lanes, features)):
            out[out_start + s * out_step + f] = tile[start + f * step + s]
    return lanes


# store_block(tile, start, step, features, out, out_start, out_step, samples) writes, for at most L features f
# and samples s, ``out[out_start + s * out_step + f] = tile[start + f * step + s]`` and returns L.
store_block = _store_block_python if JIT_DISABLED else _store_block


@inline
def store_samples(tile, width, features, samples, out, out_start):
    """Write a feature-major `tile` (features * width,) to ``out[out_start:]`` as (samples, features)."""
    s = 0
    while s < samples:
        f, lanes = 0, 1
        while f < features:
            start, at = f * width + s, out_start + s * features + f
            lanes = store_block(tile, start, width, features - f, out, at, features, samples - s)
            f += lanes
        s += lanes
