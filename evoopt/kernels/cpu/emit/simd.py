"""The register tile that every matrix product is made of, in LLVM vectors sized for the host.

``C[r, :] = bias + sum_i A[r, i] * B[i, :]`` for a few rows r and one tile of columns, with C in registers
over the whole reduction: per step of i one vector load for each vector of B, one broadcast for each row of A,
and rows x vectors fused multiply-adds. The loops around it are in `products.py`.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.registry import cpu_target
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.jit import JIT_DISABLED, inline, twin_of

AHEAD = 2048  # bytes, by which a product that reads each number once asks for what comes next


class Vectors(NamedTuple):
    """What vectors a host computes with."""

    bytes: int  # of a register
    of_tile: int  # how many make a row of a tile
    fused: bool  # whether there is a fused multiply-add


_NARROW = Vectors(16, 2, False)  # those of any host


@functools.cache
def host_vectors() -> Vectors:
    """Return the vectors of this host; where the JIT is off, the narrowest: for loops in Python the best.

    Read from the features that numba compiles for (``NUMBA_CPU_FEATURES`` included), which the key of its
    disk cache holds too.
    """
    if JIT_DISABLED:
        return _NARROW
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    enabled = set(features.split(","))
    if "+avx512f" in enabled:
        return Vectors(64, 4, True)  # 32 registers: 24 of C, 4 of B, and the broadcasts
    if "+avx" in enabled:
        return Vectors(32, 2, "+fma" in enabled)  # 16 registers: 12 of C, 2 of B
    if triple.startswith(("aarch64", "arm64")):
        return Vectors(16, 4, True)  # 32 registers
    return _NARROW


def tile_shape(dtype: np.dtype) -> tuple[int, int]:
    """Return the columns of a tile, which are samples handled side by side, and the lanes of one vector."""
    lanes = host_vectors().bytes // dtype.itemsize
    return host_vectors().of_tile * lanes, lanes


@inline
def tile_width(samples, columns, lanes):
    """Give the columns of the tile that holds so many samples: all, or for the last tile whole vectors."""
    return min(columns, (samples + lanes - 1) // lanes * lanes)


def _make_tile(rows: int, bias_by_row: bool, whole: bool = True) -> Callable[..., None]:
    """Make a function that computes the products of `rows` rows of A with one tile of columns.

    All arrays are 1-d. The reduction runs over i < n within j < outer, both at least 1: element (r, i, j) of
    A is at ``a_start + r * a_row + i * a_step + j * a_outer``, vector v of row (i, j) of B at
    ``b_start + v * b_vector + i * b_step + j * b_outer``, vector v of row r of C at
    ``c_start + r * c_row + v * c_vector``. C starts from the bias, one number for each row of C or else one
    for each column; or with `adds` from what it holds. Without `whole` the tile is one vector wide.
    """

    @intrinsic
    def tile(
        _typing, a, a_start, a_row, a_step, a_outer, b, b_start, b_vector, b_step, b_outer,
        bias, bias_start, adds, c, c_start, c_row, c_vector, n, outer,
    ):  # fmt: skip
        i = types.intp
        signature = types.void(a, *[i] * 4, b, *[i] * 4, bias, i, types.boolean, c, *[i] * 5)
        return signature, functools.partial(_emit_tile, rows, bias_by_row, whole)

    @twin_of(tile)
    def tile_python(
        a, a_start, a_row, a_step, a_outer, b, b_start, b_vector, b_step, b_outer,
        bias, bias_start, adds, c, c_start, c_row, c_vector, n, outer,
    ):  # fmt: skip
        columns, lanes = tile_shape(c.dtype)
        for v in range(columns // lanes if whole else 1):
            for r in range(rows):
                row = c[c_start + r * c_row + v * c_vector :][:lanes]
                if not adds:
                    row[:] = bias[bias_start + r] if bias_by_row else bias[bias_start + v * lanes :][:lanes]
                for j, i in itertools.product(range(outer), range(n)):
                    factor = a[a_start + r * a_row + i * a_step + j * a_outer]
                    row += factor * b[b_start + v * b_vector + i * b_step + j * b_outer :][:lanes]

    return tile_python


class VectorCode:
    """Emits loads and stores of one host vector of a dtype, at positions counted in elements."""

    def __init__(self, context: BaseContext, builder: ir.IRBuilder, dtype: types.Type) -> None:
        self.builder = builder
        self.element = context.get_value_type(dtype)
        self.itemsize = context.get_abi_sizeof(self.element)
        self.lanes = host_vectors().bytes // self.itemsize
        self.type = ir.VectorType(self.element, self.lanes)
        self.name = f"v{self.lanes}f{8 * self.itemsize}"  # in the names of LLVM's functions
        self._mask: ir.Value | None = None

    def use_only(self, count: ir.Value) -> None:
        """From here on load and store only the first `count` lanes; the others are 0."""
        lanes = ir.Constant(ir.VectorType(count.type, self.lanes), list(range(self.lanes)))
        self._mask = self.builder.icmp_signed("<", lanes, self.broadcast(count))

    def _masked(self, verb: str, returns: ir.Type, *arguments: ir.Value) -> ir.Value:
        signature = ir.FunctionType(returns, [argument.type for argument in arguments])
        name = f"llvm.masked.{verb}.{self.name}.p0"
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, signature, name), arguments
        )

    def pointer(self, data: ir.Value, at: ir.Value) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(data, [at]), self.type.as_pointer())

    def load(self, data: ir.Value, at: ir.Value) -> ir.Value:
        if self._mask is None:
            return self.builder.load(self.pointer(data, at), align=self.itemsize)
        align, others = ir.Constant(ir.IntType(32), self.itemsize), ir.Constant(self.type, None)
        return self._masked("load", self.type, self.pointer(data, at), align, self._mask, others)

    def prefetch(self, data: ir.Value, at: ir.Value) -> None:
        """Ask for the cache line at a position that is to be read soon; it need not exist."""
        byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        signature = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        prefetch = cgutils.get_or_insert_function(self.builder.module, signature, "llvm.prefetch.p0")
        place = self.builder.bitcast(self.builder.gep(data, [at]), byte)
        self.builder.call(prefetch, [place, int32(0), int32(3), int32(1)])  # to read, into all caches, data

    def store(self, vector: ir.Value, data: ir.Value, at: ir.Value) -> None:
        if self._mask is None:
            self.builder.store(vector, self.pointer(data, at), align=self.itemsize)
            return
        align = ir.Constant(ir.IntType(32), self.itemsize)
        self._masked("store", ir.VoidType(), vector, self.pointer(data, at), align, self._mask)

    def broadcast(self, scalar: ir.Value) -> ir.Value:
        int32 = ir.IntType(32)
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first_lane = self.builder.insert_element(undefined, scalar, int32(0))
        lane_zero = ir.Constant(ir.VectorType(int32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first_lane, undefined, lane_zero)

    def multiply_add(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        if not host_vectors().fused:  # without the instruction, llvm.fma would call libm for each lane
            return self.builder.fadd(self.builder.fmul(x, y), z)
        signature = ir.FunctionType(self.type, [self.type] * 3)
        fma = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.fma.{self.name}")
        return self.builder.call(fma, [x, y, z])


class _Loop:
    """A counted loop being emitted, of at least one turn, with values that it carries from turn to turn."""

    def __init__(self, builder: ir.IRBuilder, name: str, values: Sequence[ir.Value], count: ir.Value) -> None:
        before, self._block = builder.block, builder.append_basic_block(name)
        builder.branch(self._block)
        builder.position_at_end(self._block)
        self._builder, self._count = builder, count
        self._phis = [builder.phi(value.type) for value in (count, *values)]
        for phi, value in zip(self._phis, (ir.Constant(count.type, 0), *values), strict=True):
            phi.add_incoming(value, before)
        self.index, *self.values = self._phis

    def close(self, values: Sequence[ir.Value]) -> None:
        """End a turn with the new values; what is emitted next stands after the loop."""
        builder = self._builder
        following = builder.add(self.index, ir.Constant(self._count.type, 1))
        for phi, value in zip(self._phis, (following, *values), strict=True):
            phi.add_incoming(value, builder.block)
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", following, self._count), self._block, after)
        builder.position_at_end(after)


def _emit_tile(
    rows: int,
    bias_by_row: bool,
    whole: bool,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    """Emit the LLVM code of a tile: start, loop over the reduction, store C."""
    a, b, bias, c = (
        context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 5, 10, 13)
    )
    _, a_start, a_row, a_step, a_outer, _, b_start, b_vector, b_step, b_outer = arguments[:10]
    _, bias_start, adds, _, c_start, c_row, c_vector, n, outer = arguments[10:]
    code, offset = VectorCode(context, builder, signature.args[0].dtype), n.type
    vectors = host_vectors().of_tile if whole else 1

    def load_broadcast(data: ir.Value, at: ir.Value) -> ir.Value:
        return code.broadcast(builder.load(builder.gep(data, [at])))

    def along(start: ir.Value, step: ir.Value, count: int) -> list[ir.Value]:
        return [builder.add(start, builder.mul(step, offset(k))) for k in range(count)]

    def c_places() -> list[ir.Value]:
        return [at for row in along(c_start, c_row, rows) for at in along(row, c_vector, vectors)]

    with builder.if_else(adds) as (then, otherwise):
        with then:
            held = [code.load(c, at) for at in c_places()]
            held_end = builder.block
        with otherwise:
            places = along(
                bias_start, offset(1 if bias_by_row else code.lanes), rows if bias_by_row else vectors
            )
            loaded = [(load_broadcast if bias_by_row else code.load)(bias, at) for at in places]
            first = [loaded[r if bias_by_row else v] for r in range(rows) for v in range(vectors)]
            first_end = builder.block
    sums = []
    for one, other in zip(held, first, strict=True):
        sums.append(builder.phi(code.type))
        sums[-1].add_incoming(one, held_end)
        sums[-1].add_incoming(other, first_end)

    outer_loop = _Loop(builder, "outer", sums, outer)
    a_turn = builder.add(a_start, builder.mul(outer_loop.index, a_outer))
    b_turn = builder.add(b_start, builder.mul(outer_loop.index, b_outer))
    loop = _Loop(builder, "reduction", outer_loop.values, n)
    b_row = builder.add(b_turn, builder.mul(loop.index, b_step))
    b_vectors = [code.load(b, at) for at in along(b_row, b_vector, vectors)]
    if rows == 1 and not bias_by_row:  # each weight is used once: memory is the limit
        for at in along(builder.add(b_row, offset(AHEAD // code.itemsize)), b_vector, vectors):
            code.prefetch(b, at)
    a_column = builder.add(a_turn, builder.mul(loop.index, a_step))
    updated = []
    for r, at in enumerate(along(a_column, a_row, rows)):
        factor, row = load_broadcast(a, at), loop.values[r * vectors : (r + 1) * vectors]
        updated += [code.multiply_add(factor, *pair) for pair in zip(b_vectors, row, strict=True)]
    loop.close(updated)
    outer_loop.close(updated)

    # Computed again: kept, so many numbers would push others out of the registers during the loop.
    for value, at in zip(updated, c_places(), strict=True):
        code.store(value, c, at)
    return context.get_dummy_value()


# 24 of the 32 registers of AVX-512 and NEON, or 12 of the 16 of AVX2, hold the 6 rows of C.
feature_tile6, feature_tile4, feature_tile2, feature_tile1 = (_make_tile(r, True) for r in (6, 4, 2, 1))
feature_strip12, feature_strip6, feature_strip2, feature_strip1 = (
    _make_tile(r, True, whole=False) for r in (12, 6, 2, 1)
)
sample_tile4 = _make_tile(4, False)
sample_strip8, sample_strip4, sample_strip1 = (_make_tile(r, False, whole=False) for r in (8, 4, 1))
