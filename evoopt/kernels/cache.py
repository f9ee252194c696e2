"""Machine code on disk: compiled once on a machine, loaded by every process; and who is told if it is not."""

import functools
import hashlib
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from numba.core import caching, config
from numba.misc.appdirs import AppDirs

COMPILING = "Compiling kernels for the first use on this machine; this takes some seconds ..."

_log = logging.getLogger(__name__)
_first_warning = threading.Lock()  # nobody gives it back: a process is warned once
_listeners: list[Callable[[], None]] = []  # of `announced` blocks, called before each compilation


@contextmanager
def announced(say: Callable[[str], Any]) -> Iterator[None]:
    """Say once that kernels compile, if in this block any does: not if the disk cache has them all."""

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


def _warn_of_no_cache() -> None:
    if _first_warning.acquire(blocking=False):
        warnings.warn(
            f'Compiled kernels cannot be kept on disk, in "{_cache_folder()}": every process will compile '
            "them again, for several seconds. Set the environment variable NUMBA_CACHE_DIR to a folder that "
            "can be written.",
            RuntimeWarning,
            stacklevel=2,
        )


@functools.cache
def source_stamp() -> str:
    """Hash of all kernel sources: an edit anywhere, or an upgrade, never meets stale machine code."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> str:
    return os.path.abspath(config.CACHE_DIR) if config.CACHE_DIR else AppDirs("evoopt", False).user_cache_dir


class KernelLocator(caching._CacheLocator):
    """Keeps the machine code in the user's cache folder (or ``NUMBA_CACHE_DIR``), by source stamp."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file = file
        self._line = function.__code__.co_firstlineno
        self._path = os.path.join(_cache_folder(), f"evoopt-kernels-{source_stamp()}")

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        return f"{Path(self._py_file).parent.name}-{self._line}"

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "KernelLocator":
        return cls(function, file)


class _KernelCacheImpl(caching.CompileResultCacheImpl):
    _locator_classes: ClassVar = [KernelLocator]


class _DiskCache(caching.FunctionCache):
    _impl_class = _KernelCacheImpl

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        # the folder stands for the sources and the file for the name: that of `named`, for a function around
        # others, which numba would not know again in the next process
        return sig, codegen.magic_tuple()


class KernelCache(caching._Cache):
    """Opens the disk cache at the first compilation, not at import; does without where it cannot write."""

    disk_cache: ClassVar[Any] = _DiskCache

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @functools.cached_property
    def _disk(self) -> caching._Cache:
        if os.path.isabs(_cache_folder()):
            cache: caching._Cache = self.disk_cache(self._function)
            return cache
        _warn_of_no_cache()  # a "~" that no home stands for
        return caching.NullCache()

    @property
    def cache_path(self) -> str | None:
        return self._disk.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load machine code; None says to numba that it has to compile, which it does next."""
        try:
            loaded = self._disk.load_overload(sig, target_context)
        except OSError:  # a folder that cannot even be read
            loaded = None
        if loaded is None:
            _log.info("compiling %s", self._function.__qualname__)
            for listener in [*_listeners]:
                listener()
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._disk.save_overload(sig, data)
        except OSError as error:  # a full disk must not stop a run
            _log.info("%s could not be cached on disk: %s", self._function.__qualname__, error)
            _warn_of_no_cache()

    def enable(self) -> None:
        self._disk.enable()

    def disable(self) -> None:
        self._disk.disable()

    def flush(self) -> None:
        self._disk.flush()
