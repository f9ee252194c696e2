"""Machine code on disk, compiled once on a machine and loaded by every process."""

import functools
import hashlib
import logging
import os
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from numba.core import caching, config, serialize
from numba.core.base import BaseContext
from numba.core.codegen import Codegen
from numba.core.compiler import CompileResult
from numba.core.typing.templates import Signature
from numba.misc.appdirs import AppDirs

from evoopt.compiling import folders

PACKAGE = Path(__file__).parents[1]
COMPILED = ("compiling", "rules", "kernels")  # the folders whose code becomes machine code
COMPILING = "Compiling kernels for the first use on this machine; this takes some seconds ..."

first_warning = threading.Lock()  # never released, so that a process is warned once
_log = logging.getLogger(__name__)
_listeners: list[Callable[[], None]] = []  # functions of `announced` blocks, called before each compilation


@contextmanager
def announced(say: Callable[[str], Any]) -> Iterator[None]:
    """Announce once that kernels compile in this block, unless the disk cache has them all."""

    def listener() -> None:
        if listener in _listeners:
            _listeners.remove(listener)
            say(COMPILING)

    _listeners.append(listener)
    try:
        yield
    finally:
        if listener in _listeners:
            _listeners.remove(listener)


def _warn_of_no_cache(fault: str | None = None) -> None:
    if first_warning.acquire(blocking=False):
        because = f", as {fault} and so have code executed" if fault else ""
        wanted = "that only you may write, and that is new" if fault else "that can be written"
        warnings.warn(
            f'Compiled kernels cannot be kept on disk, in "{_cache_folder()}"{because}: every process will '
            "compile them again, for several seconds. Set the environment variable NUMBA_CACHE_DIR to a "
            f"folder {wanted}.",
            RuntimeWarning,
            stacklevel=2,
        )


@functools.cache
def source_stamp() -> str:
    """Hash the sources of all machine code, so that no edit or upgrade meets stale code."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in COMPILED for path in (PACKAGE / folder).rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> str:
    return os.path.abspath(config.CACHE_DIR) if config.CACHE_DIR else AppDirs("evoopt", False).user_cache_dir


def kernel_folder() -> str:
    """Return the folder of the machine code of these sources."""
    return os.path.join(_cache_folder(), f"evoopt-kernels-{source_stamp()}")


class KernelLocator(caching._CacheLocator):
    """The place of machine code: the user's cache folder, or ``NUMBA_CACHE_DIR``, by sources."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file = file
        self._line = function.__code__.co_firstlineno
        self._path = kernel_folder()

    def ensure_cache_path(self) -> None:
        folders.make_private(Path(self._path))
        if fault := folders.fault_of(Path(self._path)):
            raise PermissionError(fault)
        super().ensure_cache_path()

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        # the CPU and CUDA have files and functions of the same names, so each has a folder
        return f"{'.'.join(Path(self._py_file).parts[-3:-1])}-{self._line}"

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "KernelLocator":
        return cls(function, file)


class Sealed:
    """A mixin that stores numba's files with a digest, so that nothing damaged is executed."""

    _dumps: ClassVar[Any] = staticmethod(serialize.dumps)

    def reduce(self, compiled: CompileResult) -> Any:
        code = self._dumps(super().reduce(compiled))  # type: ignore[misc]
        return hashlib.sha256(code).digest(), code

    def rebuild(self, target_context: BaseContext, sealed: tuple[bytes, bytes]) -> Any:
        digest, code = sealed
        if hashlib.sha256(code).digest() != digest:
            raise ValueError("its digest is another one")
        return super().rebuild(target_context, pickle.loads(code))  # type: ignore[misc]


class _KernelCacheImpl(Sealed, caching.CompileResultCacheImpl):
    _locator_classes: ClassVar = [KernelLocator]


class _DiskCache(caching.FunctionCache):
    _impl_class = _KernelCacheImpl

    def _index_key(self, sig: Signature, codegen: Codegen) -> tuple[Any, ...]:
        # The folder stands for the sources and the file for the name. `named` names a function
        # around others, which numba would not recognise in the next process.
        return sig, codegen.magic_tuple()


class KernelCache(caching._Cache):
    """The disk cache of a kernel, opened at the first compilation and not at import.

    There is no cache where this process cannot write, or others could. Damaged code is compiled and
    written again.
    """

    disk_cache: ClassVar[Any] = _DiskCache

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @functools.cached_property
    def _disk(self) -> caching._Cache:
        is_found = os.path.isabs(_cache_folder())  # not so a "~" that no home stands for
        fault = folders.fault_of(Path(kernel_folder())) if is_found else None
        if is_found and fault is None:
            cache: caching._Cache = self.disk_cache(self._function)
            return cache
        _warn_of_no_cache(fault)
        return caching.NullCache()

    @property
    def cache_path(self) -> str | None:
        return self._disk.cache_path

    def load_overload(self, sig: Signature, target_context: BaseContext) -> Any:
        """Load machine code; None says to numba that it has to compile, which it does next."""
        try:
            loaded = self._disk.load_overload(sig, target_context)
        except OSError:  # a folder that cannot even be read
            loaded = None
        except Exception as error:  # whatever unpickling may raise
            _log.warning(
                "the machine code of %s in %s is damaged, and is compiled again: %r",
                *(self._function.__qualname__, self.cache_path, error),
            )
            self._start_anew()
            loaded = None
        if loaded is None:
            _log.info("compiling %s", self._function.__qualname__)
            for listener in [*_listeners]:
                listener()
        return loaded

    def save_overload(self, sig: Signature, data: CompileResult) -> None:
        try:
            self._disk.save_overload(sig, data)
        except OSError as error:  # a full disk must not stop a run
            _log.info("%s could not be cached on disk: %s", self._function.__qualname__, error)
            _warn_of_no_cache(folders.fault_of(Path(kernel_folder())))

    def _start_anew(self) -> None:
        try:
            self._disk.flush()
        except OSError:
            self._disk.disable()  # nor could it be written

    def enable(self) -> None:
        self._disk.enable()

    def disable(self) -> None:
        self._disk.disable()

    def flush(self) -> None:
        self._disk.flush()
