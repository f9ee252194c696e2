"""Reinterpretation of the bits of a scalar, and functions that choose by precision, compiled or not."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from evoopt.kernels.jit import JIT_DISABLED, inline

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


def _bitcast_python(x):
    partner = {"f": "i", "i": "f"}[x.dtype.kind]
    return x.view(f"{partner}{x.dtype.itemsize}")


# float32 <-> int32 and float64 <-> int64 of the same bits
bitcast = _bitcast_python if JIT_DISABLED else _bitcast


def by_precision(single: Callable[..., Any], double: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of one scalar that is `single` for float32 and `double` for float64.

    Both are plain Python whose parameter is named x, as numba asks of an overload.
    """

    def choose(x):
        return single(x) if x.dtype == np.float32 else double(x)

    if not JIT_DISABLED:

        @overload(choose, jit_options={"forceinline": True})
        def _choose(x):
            return single if x == types.float32 else double

    return choose


@inline
def polynomial(x, coefficients):
    """Horner's rule in the precision of `x`; `coefficients` is a tuple, highest power first."""
    value = type(x)(coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + type(x)(coefficient)
    return value
