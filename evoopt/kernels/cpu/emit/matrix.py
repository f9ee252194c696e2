"""The operands of products: a matrix in memory, for kernels and for emitted code."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature

from evoopt.compiling.jit import inline


class Matrix(NamedTuple):
    """A matrix in a 1-d array: its element (r, i) is at ``start + r * row + i * stride``.

    In a sum of two loops, i within j, element (r, i) of turn j is ``j * outer`` elements farther.
    """

    data: Any
    start: int
    row: int
    stride: int
    outer: int


@inline
def rows_from(matrix, first):
    """Return the rows of a matrix from row `first` on."""
    start = matrix.start + first * matrix.row
    return Matrix(matrix.data, start, matrix.row, matrix.stride, matrix.outer)


class Operand:
    """A `Matrix` as an argument of emitted code."""

    def __init__(
        self, context: BaseContext, builder: ir.IRBuilder, kind: types.NamedTuple, value: ir.Value
    ) -> None:
        array, *numbers = cgutils.unpack_tuple(builder, value)
        self.data: ir.Value = context.make_array(kind.types[0])(context, builder, array).data
        self.dtype: types.Type = kind.types[0].dtype
        self.start, self.row, self.stride, self.outer = numbers
        self._builder = builder

    def rows(self, count: int) -> list[ir.Value]:
        """Return the places of the first elements of so many rows."""
        return along(self._builder, self.start, self.row, count)


def operands(
    context: BaseContext, builder: ir.IRBuilder, signature: Signature, arguments: Sequence[ir.Value]
) -> list[Operand]:
    """Return the operands a, x, bias and y, with which the arguments of each product begin."""
    return [Operand(context, builder, signature.args[k], arguments[k]) for k in range(4)]


def along(builder: ir.IRBuilder, start: ir.Value, stride: ir.Value, count: int) -> list[ir.Value]:
    """Return so many places, a stride apart, from `start` on."""
    return [builder.add(start, builder.mul(stride, stride.type(k))) for k in range(count)]
