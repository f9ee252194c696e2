"""How kernels for CUDA are compiled: options, decided once.

`kernel` makes the kernels that `Stream.launch` runs. `part` makes their device functions that use
threads or shared memory. Scalar rules (`evoopt.rules.math`, environments) are shared with the CPU
and called as they are. Division and roots are rounded as IEEE 754 says, products and sums may be
fused; all other fast arithmetic is in `intrinsics`.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import cuda
from numba.core import config

from evoopt.compiling.jit import COMPILER_ERRORS, is_rule

SIMULATED = bool(config.ENABLE_CUDASIM)
SHARED_BYTES = 48 * 1024  # the shared memory that a block has on every device without asking
# The alignment of dynamic shared memory in bytes, which reads of 128 bits need; by default this
# memory begins where other shared arrays end
DYNAMIC_ALIGNMENT = None if SIMULATED else 16


def twin_of(compiled: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Decorate the Python twin of compiled code, which takes its place in the simulator."""
    return lambda python: python if SIMULATED else compiled


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function that is compiled at its first launch, and the sizes of its launches."""

    compiled: Any  # numba-cuda's dispatcher
    threads: tuple[int, int]  # threads of a block, along x and y
    per_block: tuple[int, int]  # items of a block, along x and y
    shared: int  # bytes of dynamic shared memory of a block
    calls: dict[Any, Any] = field(default_factory=dict)  # `driver.Call`s by the kinds of their arguments


def kernel(
    threads: int | tuple[int, int],
    per_block: int | tuple[int, int] = 1,
    shared: int = 0,
    *,
    resident: int = 1,
    name: str | None = None,
) -> Callable[[Callable[..., None]], Kernel]:
    """Decorate a kernel whose blocks have `threads` threads and work on `per_block` items.

    A launch has as many blocks as its items need. By default a block has one item, such as a row;
    if `per_block` equals `threads`, each thread has one. A pair has the numbers along x and y.

    Parameters
    ----------
    threads, per_block : int or (int, int)
    shared : int
        Bytes of dynamic shared memory of a block.
    resident : int
        How many blocks must fit a multiprocessor together, which limits the registers of a thread.
    name : str, optional
        All that the closure of the function depends on (`name_of`). A kernel with a name is kept on
        disk.
    """
    (x, y), items = _pair(threads), _pair(per_block)
    compiler = _compiler(x * y, resident, name)
    return lambda function: Kernel(compiler(function), (x, y), items, shared)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, 1)


def _compiler(threads: int, resident: int, name: str | None) -> Callable[[Callable[..., None]], Any]:
    """Return numba-cuda's compiler, with the disk cache if there is a name."""
    if SIMULATED:
        simulated: Callable[[Callable[..., None]], Any] = cuda.jit()
        return simulated
    compiler = cuda.jit(launch_bounds=(threads, resident))
    if name is None:
        return compiler
    from evoopt.kernels.cuda.runtime.cache import cached  # noqa: PLC0415  (the simulator has none)

    return functools.partial(cached, compiler, name)


def name_of(*parts: object) -> str | None:
    """Name all parts that a kernel is specialised for; return None for a user's code.

    The parts are numbers, strings, dtypes, functions that `jit.rule` made, and tuples of them, also
    named ones. A kernel without a name is not cached.
    """
    names = [_name_of(part) for part in parts]
    return None if None in names else f"({', '.join(map(str, names))})"


def _name_of(part: Any) -> str | None:
    if isinstance(part, tuple):
        return _name_of_tuple(part)
    if is_rule(part):
        return f"{part.__module__}.{part.__qualname__}"
    if isinstance(part, np.dtype) or (isinstance(part, type) and issubclass(part, np.generic)):
        return np.dtype(part).str
    if part is None or isinstance(part, bool | int | float | str | np.generic):
        return repr(part)
    return None


def _name_of_tuple(part: tuple[object, ...]) -> str | None:
    """Name a tuple, with its class if it has one; return None for a user's class."""
    names, kind = name_of(*part), type(part)
    if names is None or kind is tuple:
        return names
    return f"{kind.__qualname__}{names}" if kind.__module__.startswith("evoopt.") else None


@contextmanager
def compiling(functions: str) -> Iterator[None]:
    """Raise ValueError if a user's functions, described by `functions`, do not compile."""
    try:
        yield
    except COMPILER_ERRORS as error:
        raise ValueError(
            f"{functions}, that CUDA can run were expected: scalars and elements of the given arrays, and no "
            f"new arrays. They did not compile: {error}."
        ) from error


def part(function: Callable[..., Any]) -> Any:
    """Compile a device function that uses `numba.cuda`; it is always inlined."""
    return cuda.jit(device=True)(function) if SIMULATED else cuda.jit(device=True, forceinline=True)(function)
