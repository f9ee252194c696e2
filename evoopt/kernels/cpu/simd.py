"""The register tile that every matrix product is made of, in LLVM vectors sized for the host.

``C[r, :] = bias + sum_i A[r, i] * B[i, :]`` for a few rows r and one tile of columns, with C in registers
over the whole reduction: per step of i one vector load for each vector of B, one broadcast for each row of A,
and rows x vectors fused multiply-adds.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from evoopt.kernels.jit import JIT_DISABLED, inline


@functools.cache
def host_vectors() -> tuple[int, int, bool]:
    """Return bytes of a vector register, vectors to a tile and whether there is a fused multiply-add.

    Read from the features that numba compiles for (``NUMBA_CPU_FEATURES`` included), which the key of its
    disk cache holds too.
    """
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    enabled = set(features.split(","))
    if "+avx512f" in enabled:
        return 64, 4, True  # 32 registers: 24 of C, 4 of B, and the broadcasts
    if "+avx" in enabled:
        return 32, 2, "+fma" in enabled  # 16 registers: 12 of C, 2 of B
    if triple.startswith(("aarch64", "arm64")):
        return 16, 4, True  # 32 registers
    return 16, 2, False


def tile_shape(dtype: np.dtype) -> tuple[int, int]:
    """Return the columns of a tile, which are samples handled side by side, and the lanes of one vector."""
    if JIT_DISABLED:
        return 4, 2  # loops in Python: less padding
    width, vectors, _ = host_vectors()
    lanes = width // dtype.itemsize
    return vectors * lanes, lanes


@inline
def tile_width(samples, columns, lanes):
    """Give the columns of the tile that holds so many samples: all, or for the last tile whole vectors."""
    return min(columns, (samples + lanes - 1) // lanes * lanes)


def _make_tile(rows: int, bias_by_row: bool, whole: bool = True) -> Callable[..., None]:
    """Make ``tile(a, a_start, a_row, a_step, b, b_start, b_step, bias, bias_start, c, c_start, c_row, n)``.

    All arrays are 1-d. Element (r, i) of A is at ``a_start + r * a_row + i * a_step``, row i of B starts at
    ``b_start + i * b_step``, row r of C at ``c_start + r * c_row``; n >= 1 is the length of the reduction.
    The bias is one number for each row of C, or else one for each column. Without `whole` the tile is one
    vector wide.
    """

    @intrinsic
    def tile(_typing, a, a_start, a_row, a_step, b, b_start, b_step, bias, bias_start, c, c_start, c_row, n):
        i = types.intp
        signature = types.void(a, i, i, i, b, i, i, bias, i, c, i, i, i)
        return signature, functools.partial(_emit_tile, rows, bias_by_row, whole)

    def tile_python(a, a_start, a_row, a_step, b, b_start, b_step, bias, bias_start, c, c_start, c_row, n):
        columns = tile_shape(c.dtype)[0 if whole else 1]
        for r in range(rows):
            row = c[c_start + r * c_row :][:columns]
            row[:] = bias[bias_start + r] if bias_by_row else bias[bias_start:][:columns]
            for i in range(n):
                row += a[a_start + r * a_row + i * a_step] * b[b_start + i * b_step :][:columns]

    return tile_python if JIT_DISABLED else tile


class VectorCode:
    """Emits loads and stores of one host vector of a dtype, at positions counted in elements."""

    def __init__(self, context: Any, builder: ir.IRBuilder, dtype: types.Type) -> None:
        self.builder = builder
        self.element = context.get_value_type(dtype)
        self.itemsize = context.get_abi_sizeof(self.element)
        self.lanes = host_vectors()[0] // self.itemsize
        self.type = ir.VectorType(self.element, self.lanes)
        self.name = f"v{self.lanes}f{8 * self.itemsize}"  # in the names of LLVM's functions

    def pointer(self, data: ir.Value, at: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(data, [at]), self.type.as_pointer())

    def load(self, data: ir.Value, at: ir.Value) -> ir.Value:
        return self.builder.load(self.pointer(data, at), align=self.itemsize)

    def store(self, vector: ir.Value, data: ir.Value, at: ir.Value) -> None:
        self.builder.store(vector, self.pointer(data, at), align=self.itemsize)

    def broadcast(self, scalar: ir.Value) -> ir.Value:
        int32 = ir.IntType(32)
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first_lane = self.builder.insert_element(undefined, scalar, int32(0))
        lane_zero = ir.Constant(ir.VectorType(int32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first_lane, undefined, lane_zero)

    def multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        if not host_vectors()[2]:  # without the instruction, llvm.fma would call libm for each lane
            return self.builder.fadd(self.builder.fmul(x, y), z)
        signature = ir.FunctionType(self.type, [self.type] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.fma.{self.name}")
        return self.builder.call(fma, [x, y, z])


def _emit_tile(
    rows: int,
    bias_by_row: bool,
    whole: bool,
    context: Any,
    builder: ir.IRBuilder,
    signature: Any,
    arguments: Any,
) -> ir.Value:
    """Emit the LLVM code of a tile: start from the bias, loop over the reduction, store C."""
    a, b, bias, c = (
        context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 4, 7, 9)
    )
    _, a_start, a_row, a_step, _, b_start, b_step, _, bias_start, _, c_start, c_row, n = arguments
    code, offset = VectorCode(context, builder, signature.args[0].dtype), n.type
    vectors = host_vectors()[1] if whole else 1

    def load_broadcast(data: ir.Value, at: ir.Value) -> ir.Value:
        return code.broadcast(builder.load(builder.gep(data, [at])))

    def columns(start: ir.Value) -> list[ir.Value]:
        return [builder.add(start, offset(k * code.lanes)) for k in range(vectors)]

    first: list[ir.Value] = []
    for r in range(rows):
        if bias_by_row:
            first += [load_broadcast(bias, builder.add(bias_start, offset(r)))] * vectors
        else:
            first += [code.load(bias, at) for at in columns(bias_start)]
    before = builder.block
    loop, after = builder.append_basic_block("tile_loop"), builder.append_basic_block("tile_store")
    builder.branch(loop)

    builder.position_at_end(loop)
    i = builder.phi(offset)
    sums = [builder.phi(code.type) for _ in first]
    b_vectors = [code.load(b, at) for at in columns(builder.add(b_start, builder.mul(i, b_step)))]
    a_column = builder.add(a_start, builder.mul(i, a_step))
    updated = []
    for r in range(rows):
        factor = load_broadcast(a, builder.add(a_column, builder.mul(offset(r), a_row)))
        row = sums[r * vectors : (r + 1) * vectors]
        updated += [code.multiply_add(factor, *pair) for pair in zip(b_vectors, row, strict=True)]
    following = builder.add(i, offset(1))
    for phi, start, new in zip([i, *sums], [offset(0), *first], [following, *updated], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, after)

    builder.position_at_end(after)
    for r in range(rows):
        for k, at in enumerate(columns(builder.add(c_start, builder.mul(offset(r), c_row)))):
            code.store(updated[r * vectors + k], c, at)
    return context.get_dummy_value()


# 24 of the 32 registers of AVX-512 and NEON, or 12 of the 16 of AVX2, hold the 6 rows of C.
_feature_tile6, _feature_tile4, _feature_tile2, _feature_tile1 = (_make_tile(r, True) for r in (6, 4, 2, 1))
_strip6, _strip2, _strip1 = (_make_tile(r, True, whole=False) for r in (6, 2, 1))
_sample_tile4, _sample_tile1 = (_make_tile(r, False) for r in (4, 1))
_sample_strip4 = _make_tile(4, False, whole=False)


@inline
def dense_features(n_in, n_out, kernel, kernel_start, bias, bias_start, x, y, width, columns, lanes):
    """One tile of samples through a dense layer, feature-major: y (n_out, width) from x (n_in, width)."""
    o = 0
    if width == columns:
        while n_out - o >= 6:
            w, b = kernel_start + o, bias_start + o
            _feature_tile6(kernel, w, 1, n_out, x, 0, width, bias, b, y, o * width, width, n_in)
            o += 6
        if n_out - o >= 4:
            w, b = kernel_start + o, bias_start + o
            _feature_tile4(kernel, w, 1, n_out, x, 0, width, bias, b, y, o * width, width, n_in)
            o += 4
        if n_out - o >= 2:
            w, b = kernel_start + o, bias_start + o
            _feature_tile2(kernel, w, 1, n_out, x, 0, width, bias, b, y, o * width, width, n_in)
            o += 2
        if n_out - o == 1:
            w, b = kernel_start + o, bias_start + o
            _feature_tile1(kernel, w, 1, n_out, x, 0, width, bias, b, y, o * width, width, n_in)
        return
    for s in range(0, width, lanes):
        o = 0
        while n_out - o >= 6:
            w, b = kernel_start + o, bias_start + o
            _strip6(kernel, w, 1, n_out, x, s, width, bias, b, y, o * width + s, width, n_in)
            o += 6
        while n_out - o >= 2:
            w, b = kernel_start + o, bias_start + o
            _strip2(kernel, w, 1, n_out, x, s, width, bias, b, y, o * width + s, width, n_in)
            o += 2
        if n_out - o == 1:
            w, b = kernel_start + o, bias_start + o
            _strip1(kernel, w, 1, n_out, x, s, width, bias, b, y, o * width + s, width, n_in)


@inline
def dense_samples(n_in, n_out, kernel, kernel_start, bias, bias_start, x, y, samples, columns):
    """A few samples through a dense layer, sample-major: y (samples, n_out) from x (samples, n_in)."""
    o = 0
    while n_out - o >= columns:
        w, b = kernel_start + o, bias_start + o
        s = 0
        while samples - s >= 4:
            _sample_tile4(x, s * n_in, n_in, 1, kernel, w, n_out, bias, b, y, s * n_out + o, n_out, n_in)
            s += 4
        while samples - s >= 1:
            _sample_tile1(x, s * n_in, n_in, 1, kernel, w, n_out, bias, b, y, s * n_out + o, n_out, n_in)
            s += 1
        o += columns
    for s in range(samples):
        rest = y[s * n_out + o : (s + 1) * n_out]
        for j in range(n_out - o):
            rest[j] = bias[bias_start + o + j]
        for i in range(n_in):
            factor = x[s * n_in + i]
            weights = kernel[kernel_start + i * n_out + o : kernel_start + (i + 1) * n_out]
            for j in range(n_out - o):
                rest[j] += factor * weights[j]


@inline
def four_rows(a, a_start, a_row, a_step, b, b_start, b_step, n, zeros, c, width, columns, lanes):
    """Write the products sum_i A[r, i] * B[i, :width] of four rows into `c` (4 * columns,), i < n, n >= 1.

    A and B lie as in `_make_tile`; `zeros` is (columns,), and `width` at most `columns`, the tile's.
    """
    if width == columns:
        _sample_tile4(a, a_start, a_row, a_step, b, b_start, b_step, zeros, 0, c, 0, columns, n)
        return
    whole = width // lanes * lanes
    for s in range(0, whole, lanes):
        _sample_strip4(a, a_start, a_row, a_step, b, b_start + s, b_step, zeros, 0, c, s, columns, n)
    if whole < width:
        for r in range(4):
            rest = c[r * columns + whole : r * columns + width]
            for j in range(len(rest)):
                rest[j] = 0
            for i in range(n):
                factor = a[a_start + r * a_row + i * a_step]
                row = b[b_start + i * b_step + whole : b_start + i * b_step + width]
                for j in range(len(rest)):
                    rest[j] += factor * row[j]


@inline
def multiply_rows(a, a_start, a_row, rows, n, b, width, columns, lanes, zeros, y, y_start):
    """Y (rows, width) = A (rows, n) B (n, width), for a width of whole vectors; `zeros` are 6 at least."""
    s = 0
    while s < width:
        r, at = 0, y_start + s
        if width - s >= columns:
            while rows - r >= 6:
                w, c = a_start + r * a_row, at + r * width
                _feature_tile6(a, w, a_row, 1, b, s, width, zeros, 0, y, c, width, n)
                r += 6
            while rows - r >= 1:
                w, c = a_start + r * a_row, at + r * width
                _feature_tile1(a, w, a_row, 1, b, s, width, zeros, 0, y, c, width, n)
                r += 1
            s += columns
        else:
            while rows - r >= 6:
                w, c = a_start + r * a_row, at + r * width
                _strip6(a, w, a_row, 1, b, s, width, zeros, 0, y, c, width, n)
                r += 6
            while rows - r >= 1:
                w, c = a_start + r * a_row, at + r * width
                _strip1(a, w, a_row, 1, b, s, width, zeros, 0, y, c, width, n)
                r += 1
            s += lanes
