"""Bits of a scalar as another type, and functions that choose by precision."""

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
    """Return the int32 with the bits of a float32, the int64 of a float64, or the reverse."""
    partner = {"f": "i", "i": "f"}[x.dtype.kind]
    return x.view(f"{partner}{x.dtype.itemsize}")


def by_precision(single: Callable[..., Any], double: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of one scalar that is `single` for float32 and `double` for float64.

    Both are plain Python whose parameter is named x, as numba asks of an overload.
    """

    def choose(x):
        return single(x) if x.dtype == np.float32 else double(x)

    @overload(choose, jit_options={"forceinline": True})
    def _choose(x):
        return single if x == types.float32 else double

    return choose


def constant(single: float | np.generic, double: float | np.generic) -> Callable[[Any], Any]:
    """Make a function of one scalar that returns a number for float32, another for float64.

    This and `polynomial` are emitted where they stand: a function to compile for each number would
    take most of the time of compiling a kernel.
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
    """Make a function of one scalar: Horner's rule with the coefficients for its precision.

    The highest power comes first.
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
