"""A number of one thread, which turns a formula for NumPy arrays into code for CUDA."""

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numpy.typing import DTypeLike

from evoopt.compiling.recorder import Lanes, element_type

_COMPARISONS = {
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
    np.equal: "==",
}
# Functions of CUDA's library and of the compiler. Roots of float32 are off by up to two units in
# the last place, and take a quarter of the instructions of rounded ones.
_LIBRARY: dict[tuple[np.ufunc, int], str] = {
    (np.exp, 8): "__nv_exp",
    (np.log, 8): "__nv_log",
    (np.sqrt, 4): "llvm.nvvm.sqrt.approx.f",
    (np.sqrt, 8): "llvm.nvvm.sqrt.rn.d",
    (np.absolute, 8): "__nv_fabs",
}


class Scalar(Lanes):
    """A number of one thread, whose operators and functions of NumPy emit code.

    These are + - * /, comparisons, `sqrt`, `exp`, `log`, `abs`, `minimum`, `maximum`, `where`
    (whose second argument is no constant), and `astype` and `view`.
    """

    def _with(self, value: ir.Value, dtype: DTypeLike | None = None) -> "Scalar":
        return Scalar(self.builder, value, self.dtype if dtype is None else dtype)

    def _apply(self, ufunc: np.ufunc, operands: list[ir.Value]) -> Lanes:
        builder, kind = self.builder, self.value.type
        if self.dtype.kind == "f" and ufunc in _COMPARISONS:
            return self._with(builder.fcmp_ordered(_COMPARISONS[ufunc], *operands), bool)
        if ufunc in (np.minimum, np.maximum):
            x, y = operands
            wins = builder.fcmp_ordered("<" if ufunc is np.minimum else ">", x, y)
            wins = builder.or_(wins, builder.fcmp_unordered("uno", x, x))  # NaN stays NaN, as in NumPy
            return self._with(builder.select(wins, x, y))
        if (ufunc, self.dtype.itemsize) in _LIBRARY:
            name = _LIBRARY[ufunc, self.dtype.itemsize]
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
            return self._with(builder.call(function, operands))
        if ufunc is np.negative:  # (there is no fneg in CUDA's LLVM)
            return self._with(builder.fsub(ir.Constant(kind, -0.0), *operands))
        return super()._apply(ufunc, operands)

    def astype(self, dtype: DTypeLike) -> Lanes:
        """Return the number in another dtype, also between floating types."""
        sizes = self.dtype.itemsize, np.dtype(dtype).itemsize
        if self.dtype.kind != "f" or np.dtype(dtype).kind != "f" or sizes[0] == sizes[1]:
            return super().astype(dtype) if self.dtype != dtype else self
        convert: Callable[..., ir.Value] = self.builder.fptrunc if sizes == (8, 4) else self.builder.fpext
        return self._with(convert(self.value, element_type(dtype)), dtype)

    def _vector(self, dtype: DTypeLike) -> ir.Type:
        return element_type(dtype)
