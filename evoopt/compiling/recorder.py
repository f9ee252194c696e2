"""Numbers side by side in LLVM vectors, which turn a rule for NumPy arrays into code.

LLVM would vectorize loops over a scalar rule too, but with AVX-512 in half vectors, as it found
cheaper, and beside a second version for arrays that overlap, which doubles the time of compilation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike

_FLAGS = ("contract", "nsz")  # the flags of jit.FASTMATH
_FLOATING: dict[np.ufunc, str] = {np.add: "fadd", np.subtract: "fsub", np.multiply: "fmul", np.divide: "fdiv"}
_INTEGER: dict[np.ufunc, str] = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.bitwise_and: "and_",
    np.bitwise_xor: "xor",
    np.left_shift: "shl",
}


class Lanes(NDArrayOperatorsMixin):
    """Numbers that emit the code of NumPy's operators, `sqrt`, `where`, `astype` and `view`.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    value : llvmlite.ir.Value
        A vector, or a scalar that all lanes share; expressions of scalars alone are computed once.
        (The threads of CUDA compute with scalars alone.)
    dtype : numpy.dtype
        Of the numbers; bool for comparisons.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value, dtype: DTypeLike) -> None:
        self.builder, self.value, self.dtype = builder, value, np.dtype(dtype)

    def _with(self, value: ir.Value, dtype: DTypeLike | None = None) -> "Lanes":
        return Lanes(self.builder, value, self.dtype if dtype is None else dtype)

    def _operand(self, x: Any) -> ir.Value:
        """Return Lanes, or a number of the program, as a value of this one's type."""
        scalar = x.value if isinstance(x, Lanes) else element_type(self.dtype)(self.dtype.type(x).item())
        return scalar if scalar.type == self.value.type else self._broadcast(scalar)

    def _broadcast(self, scalar: ir.Value) -> ir.Value:
        vector, int32 = self.value.type, ir.IntType(32)
        if isinstance(scalar, ir.Constant):
            return ir.Constant(vector, [scalar.constant] * vector.count)
        undefined = ir.Constant(vector, ir.Undefined)
        first_lane = self.builder.insert_element(undefined, scalar, int32(0))
        lane_zero = ir.Constant(ir.VectorType(int32, vector.count), [0] * vector.count)
        return self.builder.shuffle_vector(first_lane, undefined, lane_zero)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: "Lanes | float") -> "Lanes":
        lanes = [x for x in inputs if isinstance(x, Lanes)]
        widest = next((x for x in lanes if isinstance(x.value.type, ir.VectorType)), lanes[0])
        return widest._apply(ufunc, [widest._operand(x) for x in inputs])

    def _apply(self, ufunc: np.ufunc, operands: list[ir.Value]) -> "Lanes":
        """Emit a function of operands of this one's type."""
        builder, kind = self.builder, self.dtype.kind
        if ufunc is np.less:
            return self._with(builder.icmp_signed("<", *operands), bool)
        if ufunc is np.sqrt:
            name = f"llvm.sqrt.v{self.value.type.count}f{8 * self.dtype.itemsize}"
            signature = ir.FunctionType(self.value.type, [self.value.type])
            root = cgutils.get_or_insert_function(builder.module, signature, name)
            return self._with(builder.call(root, operands))
        if ufunc is np.negative:
            return self._with(builder.fneg(*operands, flags=_FLAGS))
        if ufunc is np.right_shift:
            return self._with((builder.ashr if kind == "i" else builder.lshr)(*operands))
        if kind == "f":
            return self._with(getattr(builder, _FLOATING[ufunc])(*operands, flags=_FLAGS))
        return self._with(getattr(builder, _INTEGER[ufunc])(*operands))

    def __array_function__(
        self, function: Callable[..., Any], _types: object, args: Sequence[Any], _kwargs: object
    ) -> "Lanes":
        if function is not np.where:
            return NotImplemented
        condition, yes, no = args
        return yes._with(self.builder.select(condition.value, yes.value, yes._operand(no)))

    def view(self, dtype: DTypeLike) -> "Lanes":
        """The same bits of a vector as numbers of the same size."""
        return self._with(self.builder.bitcast(self.value, self._vector(dtype)), dtype)

    def astype(self, dtype: DTypeLike) -> "Lanes":
        """Convert a vector of integers, to a floating or a narrower type."""
        kinds = self.dtype.kind + np.dtype(dtype).kind
        convert = {"uf": self.builder.uitofp, "if": self.builder.sitofp, "uu": self.builder.trunc}[kinds]
        return self._with(convert(self.value, self._vector(dtype)), dtype)

    def _vector(self, dtype: DTypeLike) -> ir.Type:
        return ir.VectorType(element_type(dtype), self.value.type.count)


def element_type(dtype: DTypeLike) -> ir.Type:
    """Return LLVM's type of a number."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return ir.IntType(8 * dtype.itemsize)
