"""Functions that reinterpret the bits of a scalar, or that differ by its precision."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import typeof, types
from numba.extending import intrinsic, overload

from evoopt.compiling.jit import twin_of

_PARTNER = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
}


@intrinsic
def _bitcast(_typing_context, x):
    partner = _PARTNER[x]

    def codegen(context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(partner))

    return partner(x), codegen


@twin_of(_bitcast)
def bitcast(x):
    """Return a number with the same bits: a float as an int of its size, or an int as a float."""
    partner = {"f": "i", "i": "f"}[x.dtype.kind]
    return x.view(f"{partner}{x.dtype.itemsize}")


def by_precision(single: Callable[..., Any], double: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of one scalar that calls `single` for float32 and `double` for float64.

    Both are plain Python functions, and name their parameter x, because numba requires that an
    overload and its implementations have the same parameter names.
    """

    def choose(x):
        return single(x) if x.dtype == np.float32 else double(x)

    @overload(choose, jit_options={"forceinline": True})
    def _choose(x):
        return single if x == types.float32 else double

    return choose


def constant(single: float | np.generic, double: float | np.generic) -> Callable[[Any], Any]:
    """Make a function of one scalar that returns `single` for float32 and `double` for float64.

    The functions of `constant` and `polynomial` are intrinsics: numba writes their instructions
    straight into the caller. If each number were a function to compile, these functions would take
    most of the time of compiling a kernel.
    """

    @intrinsic
    def choose(_typing, x):
        value = single if x == types.float32 else double
        kind = typeof(value)
        return kind(x), lambda context, builder, signature, arguments: context.get_constant(kind, value)

    @twin_of(choose)
    def choose_python(x):
        return single if x.dtype == np.float32 else double

    return choose_python


def polynomial(single: Sequence[float], double: Sequence[float]) -> Callable[[Any], Any]:
    """Make a function of one scalar that evaluates a polynomial by Horner's rule.

    `single` and `double` are its coefficients for float32 and float64, highest power first.
    """

    @intrinsic
    def horner(_typing, x):
        def codegen(context, builder, signature, arguments):
            first, *others = single if x == types.float32 else double
            value = context.get_constant(x, first)
            for coefficient in others:
                value = builder.fadd(builder.fmul(value, arguments[0]), context.get_constant(x, coefficient))
            return value

        return x(x), codegen

    @twin_of(horner)
    def horner_python(x):
        first, *others = single if x.dtype == np.float32 else double
        value = type(x)(first)
        for coefficient in others:
            value = value * x + type(x)(coefficient)
        return value

    return horner_python
