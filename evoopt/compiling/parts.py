"""Functions inside kernels, compiled by the first half of numba's pipeline.

numba optimizes the module of each function, and makes machine code of it with wrappers for Python,
although its callers take in its code and optimize it again. A `Part` is only translated: its LLVM
code goes into the kernels that use it, and is optimized there, once. The first call of a kernel
takes a third less time, and the kernels are as fast as before.

A part counts references to arrays where its kernel does, and so is translated for each of both: a
kernel that counts takes a returned array for one that is counted already.
"""

import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.registry import CPUDispatcher
from numba.core.targetconfig import ConfigStack

_NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Code(JITCodeLibrary):
    """LLVM code for callers to take in, tidied function by function, without machine code."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _Translation(Compiler):
    """numba's pipeline, up to LLVM code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Code(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        return super().define_pipelines()


class Part(CPUDispatcher):
    """A function that is compiled into its callers, and by itself if Python calls it."""

    def __init__(
        self,
        py_func: Callable[..., Any],
        locals: dict[str, Any] | None = None,
        targetoptions: dict[str, Any] | None = None,
    ) -> None:
        self._translations: dict[bool, dict[Any, CompileResult]] = defaultdict(dict)
        super().__init__(py_func, locals, targetoptions, _Translation)

    @property
    def overloads(self) -> dict[Any, CompileResult]:
        """Translations by types, for the kernel that is being compiled."""
        kernel = ConfigStack.top_or_none()
        return self._translations[kernel is None or kernel.nrt]

    @overloads.setter
    def overloads(self, empty: dict[Any, CompileResult]) -> None:
        """Take numba's first, empty dict, in whose place the translations stand."""

    def add_overload(self, cres: CompileResult) -> None:
        """Let callers find the code for some types; Python's calls do not."""
        cres.library.finalize()
        findable = cres._replace(entry_point=object())  # the key by which numba finds the code
        self.overloads[tuple(cres.signature.args)] = findable
        self.targetctx.insert_user_function(findable.entry_point, cres.fndesc, [cres.library])

    @functools.cached_property
    def _alone(self) -> Any:
        options = {name: value for name, value in self.targetoptions.items() if name not in _NO_WRAPPERS}
        return numba.jit(**options)(self.py_func)

    def _compile_for_args(self, *args: object, **kws: object) -> Any:
        """Return the function that Python's call is handed on to."""
        return self._alone


def part(function: Callable[..., Any], **options: object) -> Part:
    """Make a part of kernels, with options of `numba.njit`."""
    return Part(function, targetoptions={"nopython": True, "forceinline": True, **_NO_WRAPPERS, **options})
