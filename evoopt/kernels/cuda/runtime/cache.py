"""The disk cache of kernels for CUDA, like the CPU's; an entry is for a compute capability."""

import hashlib
from collections.abc import Callable
from importlib import metadata
from typing import Any, ClassVar

from numba.core.codegen import Codegen
from numba.core.typing.templates import Signature
from numba.cuda import serialize
from numba.cuda.dispatcher import CUDACache, CUDACacheImpl

from evoopt.compiling.cache import KernelCache, KernelLocator, Sealed
from evoopt.compiling.jit import named


def cached(compiler: Callable[..., Any], name: str, function: Callable[..., None]) -> Any:
    """Compile a kernel; its machine code is kept in a file named by it and the digest of `name`."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    compiled = compiler(named(function, digest))
    compiled._cache = _KernelCache(function)
    return compiled


class _CacheImpl(Sealed, CUDACacheImpl):
    _locator_classes: ClassVar = [KernelLocator]
    _dumps = staticmethod(serialize.dumps)


class _DiskCache(CUDACache):
    _impl_class = _CacheImpl

    def _index_key(self, sig: Signature, codegen: Codegen) -> tuple[Any, ...]:
        # The folder stands for the sources, the file for the name. numba-cuda hashes the closure, which
        # differs from process to process. The tuple has the version of CUDA and the compute capability.
        return sig, codegen.magic_tuple(), metadata.version("numba-cuda")


class _KernelCache(KernelCache):
    disk_cache = _DiskCache
