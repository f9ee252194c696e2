"""Formulas on vectors: kernels that compute a formula for each coordinate, or reduce it.

A formula is a function of NumPy arrays and numbers, with the operators and functions of
`scalar.Scalar`; on the CPU it runs on arrays as it is. Here the same function makes the code of a
thread. All numbers are float64.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from evoopt.kernels.cuda.emit.scalar import Scalar
from evoopt.kernels.cuda.runtime.jit import kernel, name_of, twin_of
from evoopt.kernels.cuda.runtime.sizes import SIZES, block_size

Formula = Callable[..., Any]
THREADS = block_size(128)
PARTS = SIZES.blocks  # blocks that add up; each leaves three numbers


@functools.cache
def map_vectors(formula: Formula) -> Any:
    """Make ``kernel(outs, args, n)``, which writes a formula's results into a tuple of arrays (n,).

    `args` are vectors and numbers. The items are coordinates.
    """
    evaluate = _evaluate(formula)

    @kernel(THREADS, THREADS, name=_name_of(formula))
    def apply(outs, args, n):
        i = cuda.grid(1)
        if i < n:
            evaluate(outs, args, i, i)

    return apply


@functools.cache
def reduce_vectors(formula: Formula) -> Any:
    """Make ``kernel(sums, args, n)``, which reduces a formula's one result.

    The items are parts of the coordinates, PARTS of them. The sum, minimum and maximum of each part
    go into `sums` (PARTS, 3); NaN makes all three NaN.
    """
    evaluate = _evaluate(formula)

    @kernel(THREADS, name=_name_of(formula))
    def reduce(sums, args, n):
        t = cuda.threadIdx.x
        shared = cuda.shared.array((3, THREADS), types.float64)
        value = cuda.local.array(1, types.float64)
        total, least, most = 0.0, np.inf, -np.inf
        for i in range(cuda.blockIdx.x * THREADS + t, n, PARTS * THREADS):
            evaluate((value,), args, 0, i)
            x = value[0]
            total += x
            least = least if least < x else x  # written so that NaN stays
            most = most if most > x else x
        shared[0, t], shared[1, t], shared[2, t] = total, least, most
        cuda.syncthreads()
        if t == 0:
            for other in range(1, THREADS):
                total += shared[0, other]
                low, high = shared[1, other], shared[2, other]
                least = least if least < low else low
                most = most if most > high else high
            nan = total - total if total != total else 0.0  # noqa: PLR0124
            sums[cuda.blockIdx.x, 0] = total
            sums[cuda.blockIdx.x, 1], sums[cuda.blockIdx.x, 2] = least + nan, most + nan

    return reduce


def _name_of(formula: Formula) -> str | None:
    """Name a formula for the disk cache; return None for a user's formula.

    The name has the source of the formula's module, because the cache knows only the sources of
    kernels.
    """
    module = inspect.getmodule(formula)
    if module is None or not module.__name__.startswith("evoopt.") or "<locals>" in formula.__qualname__:
        return None
    try:
        source = inspect.getsource(module)
    except OSError:  # installed without sources
        return None
    return name_of(module.__name__, formula.__qualname__, hashlib.sha256(source.encode()).hexdigest())


@functools.cache
def results_of(formula: Formula, numbers: int) -> int:
    """Return how many results a formula of so many arguments has."""
    found = formula(*[np.ones(1)] * numbers)
    return len(found) if isinstance(found, tuple) else 1


def _evaluate(formula: Formula) -> Callable[..., None]:
    """Make ``evaluate(outs, args, at, i)``, which writes outs[...][at] for coordinate i of args."""

    @intrinsic
    def evaluate(_typing, outs, args, at, i):
        def emit(
            context: BaseContext, builder: ir.IRBuilder, _signature: Signature, values: Sequence[ir.Value]
        ) -> ir.Value:
            def place(array_type: types.Array, array: ir.Value, index: ir.Value) -> ir.Value:
                data = context.make_array(array_type)(context, builder, array).data
                return builder.gep(data, [index])

            numbers = []
            for position, kind in enumerate(args):
                value = builder.extract_value(values[1], position)
                if isinstance(kind, types.Array):
                    value = builder.load(place(kind, value, values[3]))
                numbers.append(Scalar(builder, value, np.float64))
            found = formula(*numbers)
            for position, result in enumerate(found if isinstance(found, tuple) else (found,)):
                array = builder.extract_value(values[0], position)
                builder.store(result.value, place(outs[position], array, values[2]))
            return context.get_dummy_value()

        return types.void(outs, args, types.intp, types.intp), emit

    @twin_of(evaluate)
    def evaluate_python(outs, args, at, i):
        numbers: list[Any] = [arg if np.isscalar(arg) else arg[i] for arg in args]
        found = formula(*map(np.float64, numbers))
        for out, result in zip(outs, found if isinstance(found, tuple) else (found,), strict=True):
            out[at] = result

    return evaluate_python
