"""How evoopt compiles: options and argument types, decided once.

Four decorators: `kernel` for functions that Python calls (without the GIL, cached on disk),
`inline` for the functions that kernels are made of, `rule` for the functions of an environment,
`closure` for a loop around a user's function. They become plain Python when ``NUMBA_DISABLE_JIT``
is set.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numba
from numba import types
from numba.core import config
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numba.extending import intrinsic

from evoopt.compiling.cache import KernelCache
from evoopt.compiling.parts import part

JIT_DISABLED = bool(config.DISABLE_JIT)


# numba's errors for code that it cannot compile; it may also stumble, with any exception of Python
COMPILER_ERRORS: tuple[type[Exception], ...] = (NumbaError, UnsupportedBytecodeError)


# Fused multiply-add and no care for the sign of zero. NaN and infinity keep their meaning (no nnan,
# ninf) and sums keep their order (no reassoc), so a result does not depend on how the work was cut.
FASTMATH = {"contract", "nsz"}


# error_model="numpy": division needs no check for zero, and so it can be vectorized.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}


_Function = TypeVar("_Function", bound=Callable[..., Any])


def twin_of(compiled: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate the Python twin of compiled code, which takes its place without the JIT."""
    return lambda python: python if JIT_DISABLED else compiled


def inline(function: _Function) -> _Function:
    """Compile a function that is always inlined, so that loops of its callers are vectorized."""
    return function if JIT_DISABLED else part(function, **_OPTIONS)


def kernel(function: Callable[..., Any] | None = None, *, allocates: bool = True) -> Any:
    """Compile a function that Python calls, on its first use, and keep the machine code on disk.

    A kernel that allocates nothing needs no reference counts, which cost a small kernel half its
    time.
    """
    if function is None:
        return functools.partial(kernel, allocates=allocates)
    compiled = numba.njit(_nrt=allocates, no_cfunc_wrapper=True, **_OPTIONS)(function)
    if not JIT_DISABLED:
        compiled._cache = KernelCache(function)
    return compiled


def named(function: _Function, name: str) -> _Function:
    """Name a function that was made around another one of ours, and so make it one of its own.

    Kernels of one name would share their files, and their symbols in one process.
    """
    function.__qualname__ = f"{function.__name__}_{name}"
    return function


def rule(function: _Function) -> _Function:
    """Compile a function of an environment, of scalars and elements of arrays, into its callers.

    Kernels around it come from the disk cache. It is pickled by name, as plain functions are, so
    that another process finds them there.
    """
    compiled: Any = inline(function)
    compiled.is_rule = True
    if not JIT_DISABLED:
        compiled.__reduce_ex__ = lambda protocol: function.__qualname__
    return compiled


def is_rule(function: object) -> bool:
    """Tell whether `rule` made a function: the disk cache may then hold machine code around it."""
    return getattr(function, "is_rule", False)


def closure(function: _Function) -> _Function:
    """Compile a loop around a user's function, in each process, as the disk cache has no closures.

    It has no other options of kernels, because the user's function would inherit them: a division
    by zero would no longer raise.
    """
    return numba.njit(nogil=True)(function)


@intrinsic
def _widest_vectors(_typing):
    def codegen(context, builder, signature, arguments):
        # (llvmlite's own `add` knows no attributes with a value)
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


@twin_of(_widest_vectors)
def widest_vectors():
    """Let loops of the kernel that calls it use 512 bits where there are.

    By default LLVM takes 256, because older processors then lower their clock, but for exp and tanh
    512 are 1.3 to 2 times as fast.
    """


def is_kernel(function: object) -> bool:
    """Tell whether `kernel` made a function, or where the JIT is off, may have."""
    return JIT_DISABLED or isinstance(getattr(function, "_cache", None), KernelCache)


def is_compiled(function: object) -> bool:
    """Tell whether kernels can call `function`: an njit function, or any where the JIT is off."""
    return callable(function) and (JIT_DISABLED or isinstance(function, Dispatcher))


@contextmanager
def explained(function: Callable[..., Any], does: str, *errors: type[Exception]) -> Iterator[None]:
    """Raise ValueError, in a sentence, if numba cannot compile a user's function.

    `does` describes the arguments and results of the function; `errors` count as errors of numba,
    too.
    """
    try:
        yield
    except COMPILER_ERRORS + errors as error:
        name = getattr(function, "__name__", "fun")
        raise ValueError(
            f"The compiled function {name} must take {does}, but numba cannot compile that, as its error "
            f"above says; to run it as plain Python, pass {name}.py_func."
        ) from error
