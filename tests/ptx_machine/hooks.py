"""The hook of the machine in numba-cuda: machine code carries the name of its translation.

The file sitecustomize.py in the machine's folder (see `environment`) calls `install` when Python
starts, hence in each process that the program starts.
"""

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from .build import build_kernel, needs_of

MARK = b"PTX MACHINE "  # the same as in driver/kernels.c


def with_translation(cubin: bytes, ptx: str) -> bytes:
    """Return machine code followed by the name of its translation."""
    file = build_kernel(Path(os.environ["PTX_FOLDER"]), ptx, needs_of(cubin))
    return cubin + MARK + str(file).encode() + b"\0"


def patch(driver: Any) -> None:
    """Make the linker of numba-cuda translate each kernel that it links."""
    linker = driver._Linker
    complete = linker.complete

    def complete_and_translate(self: Any) -> Any:
        objects = list(self._object_codes)
        cubin = complete(self)
        ptx = objects[0].code
        if self._has_ltoir:
            other = linker(max_registers=self.max_registers, cc=self.cc, lto=True, additional_flags=["-ptx"])
            other._object_codes, other._has_ltoir = objects, True
            ptx = other.get_linked_ptx()
        code = with_translation(bytes(cubin.code), ptx.decode().strip("\0"))
        return driver.ObjectCode.from_cubin(code, name=cubin.name)

    linker.complete = complete_and_translate


class Finder(importlib.abc.MetaPathFinder):
    """An import hook that patches numba-cuda's driver module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.endswith("cuda.cudadrv.driver"):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Install the import hook."""
    sys.meta_path.insert(0, Finder())
