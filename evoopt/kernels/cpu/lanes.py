"""Numbers side by side in LLVM vectors, that a rule written for NumPy arrays is turned into code with.

LLVM vectorizes loops over such rules too, but for half the width of the host's registers, and beside a second
version for arrays that overlap, which takes as long to compile.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.lib.mixins import NDArrayOperatorsMixin

FLAGS = ("contract", "nsz")  # as in jit.FASTMATH

_FLOATS = {np.add: "fadd", np.subtract: "fsub", np.multiply: "fmul", np.divide: "fdiv"}
_INTEGERS = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.bitwise_and: "and_",
    np.bitwise_xor: "xor",
    np.left_shift: "shl",
}


class Lanes(NDArrayOperatorsMixin):
    """What emits the code of NumPy's operators, `sqrt`, `where`, `astype` and `view`.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    value : llvmlite.ir.Value
        A vector, or a scalar that all lanes share: what is made of scalars alone is computed once.
    dtype : numpy.dtype
        Of the numbers; bool for comparisons.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value, dtype: Any) -> None:
        self.builder, self.value, self.dtype = builder, value, np.dtype(dtype)

    def _with(self, value: ir.Value, dtype: Any = None) -> "Lanes":
        return Lanes(self.builder, value, self.dtype if dtype is None else dtype)

    def _lanes(self, number: Any, like: "Lanes") -> ir.Value:
        """Return an operand in the type of `like`: Lanes, or a number of the program."""
        if not isinstance(number, Lanes):
            scalar = element_type(like.dtype)(like.dtype.type(number).item())
        elif number.value.type == like.value.type:
            return number.value
        else:
            scalar = number.value
        return broadcast(self.builder, scalar, like.value.type)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any) -> "Lanes":
        likes = [x for x in inputs if isinstance(x, Lanes)]
        like = next((x for x in likes if isinstance(x.value.type, ir.VectorType)), likes[0])
        operands = [self._lanes(x, like) for x in inputs]
        builder, floating = self.builder, like.dtype.kind == "f"
        if ufunc is np.sqrt:
            kind = f"f{8 * like.dtype.itemsize}"
            name = f"llvm.sqrt.v{like.value.type.count}{kind}"
            signature = ir.FunctionType(like.value.type, [like.value.type])
            return like._with(
                builder.call(cgutils.get_or_insert_function(builder.module, signature, name), operands)
            )
        if ufunc is np.negative:
            return like._with(builder.fneg(operands[0], flags=FLAGS))
        if ufunc is np.less:
            return like._with(builder.icmp_signed("<", *operands), bool)
        if ufunc is np.right_shift:
            shift = builder.ashr if like.dtype.kind == "i" else builder.lshr
            return like._with(shift(*operands))
        if floating:
            return like._with(getattr(builder, _FLOATS[ufunc])(*operands, flags=FLAGS))
        return like._with(getattr(builder, _INTEGERS[ufunc])(*operands))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> "Lanes":
        if function is not np.where:
            return NotImplemented
        condition, yes, no = args
        return yes._with(self.builder.select(condition.value, yes.value, self._lanes(no, yes)))

    def _type(self, dtype: Any) -> ir.Type:
        element = element_type(dtype)
        return (
            ir.VectorType(element, self.value.type.count)
            if isinstance(self.value.type, ir.VectorType)
            else element
        )

    def view(self, dtype: Any) -> "Lanes":
        """The same bits."""
        return self._with(self.builder.bitcast(self.value, self._type(dtype)), dtype)

    def astype(self, dtype: Any) -> "Lanes":
        """Convert from an integer, to a floating or a narrower type."""
        target, kinds = np.dtype(dtype), self.dtype.kind + np.dtype(dtype).kind
        convert = {"uf": self.builder.uitofp, "if": self.builder.sitofp, "uu": self.builder.trunc}[kinds]
        return self._with(convert(self.value, self._type(target)), target)


def element_type(dtype: Any) -> ir.Type:
    """Return LLVM's type of a number."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * dtype.itemsize)


def broadcast(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.Type) -> ir.Value:
    """Return a vector with the scalar in each lane; the scalar itself if no vector is wanted."""
    if not isinstance(vector, ir.VectorType):
        return scalar
    if isinstance(scalar, ir.Constant):
        return ir.Constant(vector, [scalar.constant] * vector.count)
    int32 = ir.IntType(32)
    undefined = ir.Constant(ir.VectorType(scalar.type, vector.count), ir.Undefined)
    first = builder.insert_element(undefined, scalar, int32(0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(int32, vector.count), [0] * vector.count)
    )
