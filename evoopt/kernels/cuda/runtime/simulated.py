"""The functions of `driver` for numba-cuda's simulator, whose memory is the host's.

New memory is full of NaN, so that tests see a number that no kernel wrote.
"""

import ctypes
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

from evoopt.kernels.cuda.runtime.jit import SHARED_BYTES, Kernel
from evoopt.kernels.cuda.runtime.memory import DeviceArray

_memory: dict[int, np.ndarray[Any, Any]] = {}  # buffers by address


def new_stream() -> Any:
    """Return None: nothing is queued, so there is no stream."""
    return None


def known_stream(handle: int) -> Any:
    """Return None, see `new_stream`."""
    return None


def new_event() -> Any:
    """Return None, see `new_stream`."""
    return None


def order(before: object, event: object, after: object) -> None:
    """Do nothing, because all work is done at once."""


def synchronize(stream: object) -> None:
    """Do nothing, see `order`."""


def synchronize_device() -> None:
    """Do nothing, see `order`."""


def device_number() -> int:
    """Return the number of the device."""
    return 0


def allocate(size: int, stream: object) -> int:
    """Return the address of `size` new bytes, a multiple of 256 as on a device."""
    buffer = np.full(size + 256, 0xFF, np.uint8)
    address = int(-(-buffer.ctypes.data // 256) * 256)
    _memory[address] = buffer
    return address


def free(address: int, stream: object) -> None:
    """Free memory."""
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
    """Return the bytes of shared memory that a block has on every device."""
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
