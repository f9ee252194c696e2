"""The register tile that every matrix product is made of, in LLVM vectors sized for the host.

``y[r, v] = bias + sum_i a[r, i] * x[v, i]`` for a few rows r of numbers and the vectors v of one
tile of columns. y stays in registers over the whole reduction. Each i takes one vector load for
each vector of x, one broadcast for each row of a, and rows x vectors fused multiply-adds. The loops
around it are in `networks/products.py`.
"""

import functools
import itertools
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.compiling.jit import twin_of
from evoopt.kernels.cpu.emit.matrix import along, operands
from evoopt.kernels.cpu.emit.vectors import AHEAD, VectorCode, host_vectors, tile_shape


def make_register_tile(height: int, bias_by_row: bool, whole: bool = True) -> Callable[..., None]:
    """Make ``tile(a, x, bias, y, adds, n, outer)``, `height` rows of a product, one tile wide.

    All operands are a `Matrix`: `a` (height, n) of numbers, `x` (vectors, n) and `y` (height,
    vectors) of vectors. The reduction runs over i < n within j < outer, both at least 1. y starts
    from `bias`, which has one number for each row of y (`bias_by_row`) or one vector for each
    column; with `adds`, y starts from its own values. Without `whole` the tile is one vector wide.
    """

    @intrinsic
    def tile(_typing, a, x, bias, y, adds, n, outer):
        signature = types.void(a, x, bias, y, types.boolean, types.intp, types.intp)
        return signature, functools.partial(_emit_tile, height, bias_by_row, whole)

    @twin_of(tile)
    def tile_python(a, x, bias, y, adds, n, outer):
        columns, lanes = tile_shape(y.data.dtype)
        for v in range(columns // lanes if whole else 1):
            for r in range(height):
                row = y.data[y.start + r * y.row + v * y.stride :][:lanes]
                if not adds:
                    numbers = bias.data[bias.start :]
                    row[:] = numbers[r * bias.row] if bias_by_row else numbers[v * bias.stride :][:lanes]
                for j, i in itertools.product(range(outer), range(n)):
                    factor = a.data[a.start + r * a.row + i * a.stride + j * a.outer]
                    row += factor * x.data[x.start + v * x.row + i * x.stride + j * x.outer :][:lanes]

    return tile_python


class _Loop:
    """An emitted loop of at least one turn, with values that it carries from turn to turn."""

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
        """End a turn with the new values; code that is emitted next stands after the loop."""
        builder = self._builder
        following = builder.add(self.index, ir.Constant(self._count.type, 1))
        for phi, value in zip(self._phis, (following, *values), strict=True):
            phi.add_incoming(value, builder.block)
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", following, self._count), self._block, after)
        builder.position_at_end(after)


def _emit_tile(
    height: int,
    bias_by_row: bool,
    whole: bool,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    arguments: Sequence[ir.Value],
) -> ir.Value:
    """Emit the LLVM code of a tile: start, loop over the reduction, store y."""
    a, x, bias, y = operands(context, builder, signature, arguments)
    adds, n, outer = arguments[4:]
    code, offset = VectorCode(context, builder, y.dtype), n.type
    vectors = host_vectors().of_tile if whole else 1

    def load_broadcast(data: ir.Value, at: ir.Value) -> ir.Value:
        return code.broadcast(builder.load(builder.gep(data, [at])))

    def places_of_y() -> list[ir.Value]:
        return [at for row in y.rows(height) for at in along(builder, row, y.stride, vectors)]

    with builder.if_else(adds) as (then, otherwise):
        with then:
            held = [code.load(y.data, at) for at in places_of_y()]
            held_end = builder.block
        with otherwise:
            if bias_by_row:
                loaded = [load_broadcast(bias.data, at) for at in bias.rows(height)]
            else:
                places = along(builder, bias.start, bias.stride, vectors)
                loaded = [code.load(bias.data, at) for at in places]
            first = [loaded[r if bias_by_row else v] for r in range(height) for v in range(vectors)]
            first_end = builder.block
    sums = []
    for one, other in zip(held, first, strict=True):
        sums.append(builder.phi(code.type))
        sums[-1].add_incoming(one, held_end)
        sums[-1].add_incoming(other, first_end)

    outer_loop = _Loop(builder, "outer", sums, outer)
    a_turn, x_turn = (builder.add(m.start, builder.mul(outer_loop.index, m.outer)) for m in (a, x))
    loop = _Loop(builder, "reduction", outer_loop.values, n)
    a_column, x_column = (
        builder.add(turn, builder.mul(loop.index, m.stride)) for turn, m in ((a_turn, a), (x_turn, x))
    )
    x_vectors = [code.load(x.data, at) for at in along(builder, x_column, x.row, vectors)]
    if height == 1 and not bias_by_row:  # memory is the limit, because each weight is used once
        ahead = builder.add(x_column, offset(AHEAD // code.itemsize))
        for at in along(builder, ahead, x.row, vectors):
            code.prefetch(x.data, at)
    updated = []
    for r, at in enumerate(along(builder, a_column, a.row, height)):
        factor, row = load_broadcast(a.data, at), loop.values[r * vectors : (r + 1) * vectors]
        updated += [code.multiply_add(factor, *pair) for pair in zip(x_vectors, row, strict=True)]
    loop.close(updated)
    outer_loop.close(updated)

    # The places are computed again: if kept, they would push sums out of registers in the loop.
    for value, at in zip(updated, places_of_y(), strict=True):
        code.store(value, y.data, at)
    return context.get_dummy_value()
