"""Calls of the machine's driver without numba-cuda, to test the machine itself."""

import ctypes
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .build import build_driver, build_kernel
from .hooks import MARK
from .translation.source import NOTHING, Needs

Three = tuple[int, int, int]


class Client:
    """A driver that was built into a folder, where kernels are built, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._library = ctypes.CDLL(str(build_driver(folder)))
        self._library.machine_finding.restype = ctypes.c_char_p
        self._buffers: list[Any] = []
        self.call("cuCtxSetCurrent", 1)

    def call(self, name: str, *arguments: Any) -> int:
        """Call a function of the driver; return its error."""
        function = ctypes.c_void_p()
        self._library.cuGetProcAddress_v2(
            name.encode(), ctypes.byref(function), 13000, ctypes.c_uint64(0), None
        )
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * len(arguments))
        result: int = prototype(function.value or 0)(*arguments)
        return result

    def make(self, name: str, *arguments: Any) -> int:
        """Call a function that makes an object; return its address."""
        made = ctypes.c_uint64()
        error = self.call(name, ctypes.addressof(made), *arguments)
        assert not error, f"{name} failed: {error}"
        return made.value

    def findings(self) -> list[str]:
        """Return the findings since the last call, with notes."""
        found: list[str] = []
        while text := self._library.machine_finding(ctypes.c_long(len(found))):
            found.insert(0, text.decode())
        self._library.machine_forget()
        return found

    def to_device(self, numbers: np.ndarray[Any, Any]) -> int:
        """Copy numbers to memory of the device."""
        address = self.make("cuMemAlloc", max(numbers.nbytes, 1))
        self.call("cuMemcpyHtoD", address, numbers.ctypes.data, numbers.nbytes)
        return address

    def to_host(self, address: int, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Copy numbers from the device into an array."""
        self.call("cuMemcpyDtoH", numbers.ctypes.data, address, numbers.nbytes)
        return numbers

    def load(self, ptx: str, needs: Needs = NOTHING) -> int:
        """Load a kernel: the head of a machine-code file, followed by the translation's name."""
        head = struct.pack("<4s28xQ24x", b"\x7fELF", 64)  # an empty table of segments at the end of the head
        file = build_kernel(self.folder, ptx, needs)
        self._buffers.append(ctypes.create_string_buffer(head + MARK + str(file).encode()))
        return self.make("cuLibraryLoadData", ctypes.addressof(self._buffers[-1]), 0, 0, 0, 0, 0, 0)

    def launch(
        self,
        kernel: int,
        grid: Three,
        block: Three,
        arguments: Sequence[int],
        shared: int = 0,
        stream: int = 0,
    ) -> int:
        """Queue a kernel whose arguments are words of eight bytes; return the error."""
        words = (ctypes.c_uint64 * len(arguments))(*(argument & (1 << 64) - 1 for argument in arguments))
        places = (ctypes.c_void_p * len(words))(*(ctypes.addressof(words) + 8 * n for n in range(len(words))))
        return self.call("cuLaunchKernel", kernel, *grid, *block, shared, stream, ctypes.addressof(places), 0)
