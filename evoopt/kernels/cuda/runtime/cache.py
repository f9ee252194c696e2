"""The disk cache of kernels for CUDA, like the CPU's; an entry is for one compute capability."""

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
    """Compile a kernel; its machine code is in a file named after it and the digest of `name`."""
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
        # The folder identifies the sources, the file the name, and the tuple CUDA's version and the
        # compute capability. numba-cuda would hash the closure, which differs in each process.
        return sig, codegen.magic_tuple(), metadata.version("numba-cuda")


class _KernelCache(KernelCache):
    disk_cache = _DiskCache
