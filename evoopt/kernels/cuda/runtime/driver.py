"""Functions of CUDA's driver: memory, copies, streams, events and launches.

numba-cuda compiles kernels, and this module launches them. numba-cuda's own launch takes the host
some 40 us for four arrays, and its allocation 30 us; these take 6 and 2. `simulated` has the same
functions for the simulator.
"""

import ctypes
import functools
import os
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from cuda.bindings import driver as cu
from numba import cuda, from_dtype, typeof, types

from evoopt.kernels.cuda.runtime.jit import Kernel
from evoopt.kernels.cuda.runtime.memory import DeviceArray

_NO_MEMORY = cu.CUresult.CUDA_ERROR_OUT_OF_MEMORY
MOST_WORDS = 256  # the most words, of eight bytes each, that a kernel's arguments take
_LOADING = threading.Lock()  # numba-cuda cannot load a kernel for two Python threads at once
_PROCESS = os.getpid()  # the process that first used CUDA; its forks cannot use it
# The kind of an argument: the dtype and number of axes of an array, the kinds of a tuple's parts,
# and the Python type of a number
Kind = type | tuple[Any, ...]
_FORMATS = {int: "q", float: "d", np.int64: "q", np.uint64: "Q", np.float32: "f4x", np.float64: "d"}


def _do(function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function of the driver, and return its value.

    If memory is short, it is called once more, after our pool has released its spare memory.

    Raises
    ------
    MemoryError
        If memory is still short.
    RuntimeError
        For any other error.
    """
    error, *values = function(*arguments)
    if error == _NO_MEMORY:
        _empty_pool()
        error, *values = function(*arguments)
    if error:
        _, name = cu.cuGetErrorName(error)
        _, text = cu.cuGetErrorString(error)
        kind = MemoryError if error == _NO_MEMORY else RuntimeError
        raise kind(f"CUDA failed: {name.decode()}, {text.decode()}.")
    return values[0] if values else None


class _Thread(threading.local):
    """A Python thread's CUDA context, and its buffer for the arguments of launches."""

    def __init__(self) -> None:
        if os.getpid() != _PROCESS:
            raise RuntimeError(
                "CUDA must be used in the process that first used it, got a fork of that process; start "
                'processes by multiprocessing.get_context("spawn").'
            )
        cuda.current_context()
        self.words = (ctypes.c_uint64 * MOST_WORDS)()
        start = ctypes.addressof(self.words)
        self._places = (ctypes.c_void_p * MOST_WORDS)(*(start + 8 * i for i in range(MOST_WORDS)))
        self.arguments = ctypes.addressof(self._places)


@functools.cache
def _thread() -> _Thread:
    return _Thread()


os.register_at_fork(after_in_child=_thread.cache_clear)


def _enter() -> None:
    """Make sure that this Python thread has a CUDA context."""
    _ = _thread().words


# ---------------------------------------------------------------- streams and events


def new_stream() -> Any:
    """Make a stream; it and the default stream wait for each other's work."""
    _enter()
    return _do(cu.cuStreamCreate, 0)


def known_stream(handle: int) -> Any:
    """Return another library's stream, by its handle."""
    return cu.CUstream(handle)


def new_event() -> Any:
    """Make an event, which records no time."""
    _enter()
    return _do(cu.cuEventCreate, cu.CUevent_flags.CU_EVENT_DISABLE_TIMING)


def order(before: cu.CUstream, event: cu.CUevent, after: cu.CUstream) -> None:
    """Make later work on the stream `after` wait for the work that is queued on `before` now."""
    _enter()
    _do(cu.cuEventRecord, event, before)
    _do(cu.cuStreamWaitEvent, after, event, 0)


def synchronize(stream: cu.CUstream) -> None:
    """Wait for all work queued on a stream."""
    _enter()
    _do(cu.cuStreamSynchronize, stream)


def synchronize_device() -> None:
    """Wait for all queued work, of other libraries too; do nothing in a forked process."""
    if os.getpid() == _PROCESS:
        _enter()
        cu.cuCtxSynchronize()


def device_number() -> int:
    """Return the number of the device."""
    found: int = cuda.get_current_device().id
    return found


# ---------------------------------------------------------------- memory


@functools.cache
def _pool() -> Any:
    """Return the pool of memory, which keeps freed memory for the next allocation.

    None if the driver has no pools, as on some virtual machines.
    """
    kind = cu.CUmemPoolProps()
    kind.allocType = cu.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    kind.location.type = cu.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    kind.location.id = device_number()
    error, pool = cu.cuMemPoolCreate(kind)
    if error:
        return None
    keeps = cu.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
    _do(cu.cuMemPoolSetAttribute, pool, keeps, cu.cuuint64_t(2**64 - 1))
    error, address = cu.cuMemAllocFromPoolAsync(1, pool, 0)
    if error:
        return None
    _do(cu.cuMemFreeAsync, address, 0)
    return pool


def _empty_pool() -> None:
    """Release the pool's unused memory."""
    cu.cuCtxSynchronize()  # memory freed on a stream is unused only when the stream's work is done
    pool = _pool()
    if pool is not None:
        cu.cuMemPoolTrimTo(pool, 0)


def allocate(size: int, stream: cu.CUstream) -> int:
    """Return the address of `size` new bytes; raise MemoryError if memory is short."""
    _enter()
    pool = _pool()
    try:
        if pool is None:
            return int(_do(cu.cuMemAlloc, size))
        return int(_do(cu.cuMemAllocFromPoolAsync, size, pool, stream))
    except MemoryError as error:
        _, left, _ = cu.cuMemGetInfo()
        raise MemoryError(
            f"{size:,} bytes of the device's memory were asked for, but {left:,} are free; take fewer rows."
        ) from error


def free(address: int, stream: cu.CUstream) -> None:
    """Free memory once all work queued on the stream is done; do nothing in a forked process."""
    if os.getpid() != _PROCESS:
        return
    _enter()
    if _pool() is None:
        cu.cuStreamSynchronize(stream)
        cu.cuMemFree(address)
    else:
        cu.cuMemFreeAsync(address, stream)


def copy_in(target: int, source: np.ndarray[Any, Any], stream: cu.CUstream) -> None:
    """Copy from the host's memory; `source` may change after this returns."""
    _enter()
    address = source.ctypes.data
    _do(cu.cuMemcpyHtoDAsync, target, address, source.nbytes, stream)
    if _is_pinned(address):
        synchronize(stream)


def copy_out(target: np.ndarray[Any, Any], source: int, stream: cu.CUstream) -> None:
    """Copy to the host's memory, and wait."""
    _enter()
    _do(cu.cuMemcpyDtoHAsync, target.ctypes.data, source, target.nbytes, stream)
    synchronize(stream)


def copy_within(target: int, source: int, size: int, stream: cu.CUstream) -> None:
    """Copy bytes within the device's memory."""
    _enter()
    _do(cu.cuMemcpyDtoDAsync, target, source, size, stream)


def _is_pinned(address: int) -> bool:
    """Return whether host memory is pinned, which the driver may read even after a copy returns."""
    error, kind = cu.cuPointerGetAttribute(cu.CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address)
    return not error and bool(kind)


def most_shared_bytes() -> int:
    """Return the most bytes of shared memory that a block can ask for."""
    found: int = cuda.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    return found


# ---------------------------------------------------------------- kernels


class Call(NamedTuple):
    """A kernel compiled for some kinds of arguments, and the packer of such arguments."""

    kernel: Any  # the driver's handle
    packer: struct.Struct


def launch(kernel: Kernel, blocks: tuple[int, int], stream: cu.CUstream, arguments: Iterable[Any]) -> None:
    """Queue a kernel on this many blocks along x and y."""
    words: list[Any] = []
    kinds = tuple([_append(words, argument) for argument in arguments])
    call = kernel.calls.get(kinds)
    if call is None:
        with _LOADING:
            call = kernel.calls[kinds] = load(kernel, kinds)
    thread = _thread()
    call.packer.pack_into(thread.words, 0, *words)
    sizes = *blocks, 1, *kernel.threads, 1
    _do(cu.cuLaunchKernel, call.kernel, *sizes, kernel.shared, stream, thread.arguments, 0)


def _append(words: list[Any], argument: object) -> Any:
    """Append the words in which numba passes an argument to a kernel; return its kind."""
    if type(argument) is DeviceArray:
        words += argument.words
        return argument.kind
    if type(argument) is tuple:
        return tuple([_append(words, part) for part in argument])
    words.append(argument)
    return type(argument)


def load(kernel: Kernel, kinds: tuple[Any, ...]) -> Call:
    """Compile a kernel for these kinds of arguments, or take it from the disk cache; load it."""
    compiled = kernel.compiled.compile(tuple(map(type_of, kinds)))
    function = compiled._codelibrary.get_cufunc()
    if kernel.shared:  # a kernel with more than 48 KB in all its arrays must ask for it
        attribute = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _do(cu.cuKernelSetAttribute, attribute, kernel.shared, function.handle, device_number())
    return Call(cu.CUfunction(int(function.handle)), struct.Struct("=" + "".join(map(format_of, kinds))))


def type_of(kind: Kind) -> Any:
    """Return numba's type for a kind of argument."""
    if not isinstance(kind, tuple):
        return typeof(kind(0))
    if isinstance(kind[0], np.dtype):
        return types.Array(from_dtype(kind[0]), kind[1], "C")
    return types.BaseTuple.from_types(tuple(map(type_of, kind)))


def format_of(kind: Kind) -> str:
    """Return the format of a kind of argument for `struct`, in places of eight bytes."""
    if not isinstance(kind, tuple):
        return _FORMATS[kind]
    if isinstance(kind[0], np.dtype):
        return f"{5 + 2 * kind[1]}q"  # see `DeviceArray.words`
    return "".join(map(format_of, kind))
