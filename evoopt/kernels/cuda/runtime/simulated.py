"""The functions of `driver` where numba-cuda simulates a device: its memory is the host's.

All that is allocated is full of NaN, so that a number that no kernel wrote is seen.
"""

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

from evoopt.kernels.cuda.runtime.jit import SHARED_BYTES, Kernel
from evoopt.kernels.cuda.runtime.memory import DeviceArray

_memory: dict[int, np.ndarray[Any, Any]] = {}  # by address


def new_stream() -> Any:
    """Nothing is queued, so a stream is nothing."""
    return None


def known_stream(handle: int) -> Any:
    """See `new_stream`."""
    return None


def new_event() -> Any:
    """See `new_stream`."""
    return None


def order(before: object, event: object, after: object) -> None:
    """All is done in order."""


def synchronize(stream: object) -> None:
    """All is done."""


def synchronize_device() -> None:
    """All is done."""


def device_number() -> int:
    """Return the number of the device."""
    return 0


def allocate(size: int, stream: object) -> int:
    """Return the address of so many bytes, at a multiple of 256 as on a device."""
    buffer = np.full(size + 256, 0xFF, np.uint8)
    address = int(-(-buffer.ctypes.data // 256) * 256)
    _memory[address] = buffer
    return address


def free(address: int, stream: object) -> None:
    """Give memory back."""
    _memory.pop(address, None)


def copy_in(target: int, source: np.ndarray[Any, Any], stream: object) -> None:
    """Copy from an array."""
    ctypes.memmove(target, source.ctypes.data, source.nbytes)


def copy_out(target: np.ndarray[Any, Any], source: int, stream: object) -> None:
    """Copy to an array."""
    ctypes.memmove(target.ctypes.data, source, target.nbytes)


def copy_within(target: int, source: int, size: int, stream: object) -> None:
    """Copy bytes."""
    ctypes.memmove(target, source, size)


def most_shared_bytes() -> int:
    """Return how many bytes of shared memory every device gives a block."""
    return SHARED_BYTES


def launch(kernel: Kernel, blocks: tuple[int, int], stream: object, arguments: Iterable[Any]) -> None:
    """Run a kernel, one block after the other."""
    kernel.compiled[blocks, kernel.threads, 0, kernel.shared](*map(_view, arguments))


def _view(argument: object) -> Any:
    if isinstance(argument, tuple):
        return tuple(map(_view, argument))
    if not isinstance(argument, DeviceArray):
        return argument
    if not argument.size:
        return FakeCUDAArray(np.empty(argument.shape, argument.dtype))
    memory = memoryview((ctypes.c_char * argument.nbytes).from_address(argument.address))
    return FakeCUDAArray(np.ndarray(argument.shape, argument.dtype, memory))
