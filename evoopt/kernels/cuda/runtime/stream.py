"""Streams: the order of work on a device, and copies of arrays to it and back."""

import functools
import math
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arrays
from evoopt.kernels.cuda.runtime import foreign, grid
from evoopt.kernels.cuda.runtime.foreign import LEGACY, is_device_array
from evoopt.kernels.cuda.runtime.jit import SIMULATED, Kernel
from evoopt.kernels.cuda.runtime.memory import DeviceArray, strides_of
from evoopt.types import Array, Shape

if SIMULATED:
    from evoopt.kernels.cuda.runtime import simulated as driver
else:
    from evoopt.kernels.cuda.runtime import driver  # type: ignore[no-redef]

most_shared_bytes = driver.most_shared_bytes


class Queue:
    """A queue of work on the device: a stream, and an event that is recorded on it alone."""

    def __init__(self, handle: Any, event: Any) -> None:
        self.handle, self._event = handle, event

    @property
    def number(self) -> int | None:
        """The number by which other libraries know the stream; None in the simulator."""
        return None if self.handle is None else int(self.handle)

    @property
    def device_number(self) -> int:
        """The number of the stream's device."""
        return driver.device_number()

    def precede(self, other: "Queue") -> None:
        """Make later work of the other queue wait for the work that is queued here now."""
        driver.order(self.handle, self._event, other.handle)

    def follow(self, other: "Queue") -> None:
        """Make later work of this queue wait for the work that is queued there now."""
        other.precede(self)

    def to_host(self, array: DeviceArray) -> np.ndarray[Any, Any]:
        """Return a host copy of an array of this stream, once all its queued work is done."""
        host = np.empty(array.shape, array.dtype)
        if host.size:
            driver.copy_out(host, array.address, self.handle)
        return host

    def copied(self, array: DeviceArray) -> DeviceArray:
        """Return a copy of an array, on a new stream."""
        stream = Stream()
        result = stream.empty(array.shape, array.dtype)
        stream.copy(array, result)
        return result

    def lend(self, array: DeviceArray, number: int | None) -> "_Lent":
        """Lend an array to another library, whose stream waits for it; return the loan.

        The library's stream is given by its number in DLPack: 1, or None, is the default stream, -1
        means not to wait.
        """
        if number is None:
            number = LEGACY
        if number == 0 or number < -1:
            raise ValueError(f"stream must be -1, 1, 2, or the number of a stream, got {number}.")
        if number > 0:
            self.precede(known_queue(number))
        return _Lent(array, number == LEGACY)


@functools.cache
def known_queue(number: int) -> Queue:
    """Return the queue of a stream that another library made; 1 is the legacy default stream."""
    return Queue(driver.known_stream(number), driver.new_event())


class _Unnamed(Queue):
    """The queue of a library that does not name its stream.

    The library has let our stream wait for its own. It cannot be made to wait for ours, so the host
    waits: when the library goes on, our kernels have written their results, and it overwrites
    nothing that they still read.
    """

    def __init__(self, stream: "Stream") -> None:
        super().__init__(stream.handle, stream._event)
        self._stream = stream  # waits for the array, as do all that wait for this stream

    def follow(self, other: Queue) -> None:
        driver.synchronize(other.handle)


class _Allocation:
    """Memory that is freed when the last array in it is deleted."""

    __slots__ = ("_address", "_stream")
    read_only = False

    def __init__(self, address: int, stream: "Stream") -> None:
        self._address, self._stream = address, stream

    def __del__(self, over: Callable[[], bool] = sys.is_finalizing) -> None:
        if not over():  # (the end of the process frees it, too)
            driver.free(self._address, self._stream.handle)


class _Lent:
    """The loan of an array to another library.

    The library may end the loan before its own work with the array is done, so the host then waits
    for that work.
    """

    def __init__(self, array: DeviceArray, is_default: bool) -> None:
        self._array, self._is_default = array, is_default

    def __del__(self, over: Callable[[], bool] = sys.is_finalizing) -> None:
        if not self._is_default and not over():  # (our streams wait for the default one)
            driver.synchronize_device()


class Stream(Queue):
    """A queue of work on the device; each object has one of its own.

    An array belongs to the stream that made it. A kernel that takes an array of another stream runs
    after all work queued there before, and later work there runs after the kernel. The host waits
    only for copies to the host.

    A stream of the driver is never destroyed, because memory may be freed on it after the object
    that had the stream: by the garbage collector, or at the end of Python. The next object gets the
    stream.
    """

    _idle: ClassVar[list[tuple[Any, Any]]] = []  # the driver's unused streams, each with its event

    def __init__(self) -> None:
        try:
            pair = self._idle.pop()
        except IndexError:
            pair = driver.new_stream(), driver.new_event()
        super().__init__(*pair)
        weakref.finalize(self, self._idle.append, pair).atexit = False

    def __reduce__(self) -> tuple[type["Stream"], tuple[()]]:
        return Stream, ()  # a copy, or another process, has a queue of its own

    def empty(self, shape: int | Shape, dtype: DTypeLike) -> DeviceArray:
        """Return an uninitialized array."""
        shape, kind = (shape if isinstance(shape, tuple) else (shape,)), np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if not size:
            return DeviceArray(0, shape, kind, self, None)
        address = driver.allocate(size, self.handle)
        return DeviceArray(address, shape, kind, self, _Allocation(address, self))

    def adopt(self, array: object) -> DeviceArray:
        """Return a device array of any library as one of ours, without a copy if C-contiguous."""
        if isinstance(array, DeviceArray):
            return array
        lent = foreign.borrow(array, self.number, self.device_number)
        queue = _Unnamed(self) if lent.stream is None else known_queue(lent.stream)
        address, shape, dtype, strides = lent[:4]
        if strides is None or _is_contiguous(shape, strides, dtype.itemsize):
            return DeviceArray(address, shape, dtype, queue, lent)
        ends = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
        first, last = (sum(pick(0, end) for end in ends) for pick in (min, max))
        span = DeviceArray(address + first, (last - first + dtype.itemsize,), np.dtype(np.uint8), queue, lent)
        return self.to_device(np.ndarray(shape, dtype, queue.to_host(span), -first, strides), dtype)

    def given(self, name: str, array: object) -> Any:
        """Read real numbers as an array where they are: on the device, or on the host."""
        if not is_device_array(array):
            return arrays.read(name, array)
        found = self.adopt(array)
        arrays.require_real(name, found.dtype)
        return found

    def host(self, array: object) -> Any:
        """Return a host copy of a device's array, and any other object as it is."""
        return np.asarray(self.adopt(array)) if is_device_array(array) else array

    def to_device(self, array: ArrayLike, dtype: DTypeLike) -> DeviceArray:
        """Return a C-contiguous array of this dtype on the device: the given one, or a copy."""
        if type(array) is DeviceArray and array.dtype == dtype:
            return array
        if type(array) is not np.ndarray and is_device_array(array):
            found = self.adopt(array)
            if found.dtype == dtype:
                return found
            array = np.asarray(found)
        host = np.asarray(array, dtype, order="C")
        result = self.empty(host.shape, host.dtype)
        if host.size:
            driver.copy_in(result.address, host, self.handle)
        return result

    def output(self, out: object, shape: Shape, dtype: DTypeLike, **sources: object) -> DeviceArray:
        """Return the user's array of the device to write to; None makes one.

        ValueError is raised for any other array, one that is read-only, and one that shares memory
        with the `sources`.
        """
        if out is None:
            return self.empty(shape, dtype)
        if not is_device_array(out):
            raise ValueError(
                f"out must be an array of the device, got a {type(out).__name__}; leave it out, or copy it "
                "there."
            )
        found = self.adopt(out)
        copied = not isinstance(out, DeviceArray) and isinstance(found.owner, _Allocation)
        if found.shape != shape or found.dtype != dtype or copied:
            layout = "another layout" if copied else f"{found.dtype} {found.shape}"
            raise ValueError(f"out must be a C-contiguous array of {np.dtype(dtype)} {shape}, got {layout}.")
        if found.read_only:
            raise ValueError("out must be writable, got an array that is read-only; copy it.")
        for name, source in sources.items():
            if isinstance(source, DeviceArray) and found.overlaps(source):
                raise arrays.overlap(name)
        return found

    def copy(self, source: Array | DeviceArray, target: DeviceArray) -> None:
        """Copy numbers of the host (C-contiguous) or of the device into an array of the device."""
        if not target.size:
            return
        others = self._others((source, target))
        for other in others:
            other.precede(self)
        if isinstance(source, DeviceArray):
            driver.copy_within(target.address, source.address, target.nbytes, self.handle)
        else:
            driver.copy_in(target.address, source, self.handle)
        for other in others:
            other.follow(self)

    def launch(self, kernel: Kernel, items: int | Shape, *args: Any) -> None:
        """Queue a kernel on as many blocks as the items need, along x or along x and y."""
        others = self._others(args)
        for other in others:
            other.precede(self)
        blocks = grid.blocks_for(items, kernel.per_block, grid.MOST_Y)
        driver.launch(kernel, blocks, self.handle, args)
        for other in others:
            other.follow(self)

    def _others(self, args: Iterable[Any]) -> list[Queue]:
        """Return the other streams of arrays among the arguments, also in tuples."""
        found: list[Queue] = []
        for arg in args:
            if isinstance(arg, DeviceArray):
                if arg.stream is not self and arg.stream not in found:
                    found.append(arg.stream)
            elif isinstance(arg, tuple):
                found += [other for other in self._others(arg) if other not in found]
        return found


def _is_contiguous(shape: Shape, strides: Iterable[int], itemsize: int) -> bool:
    expected = strides_of(shape, itemsize)
    return 0 in shape or all(n == 1 or a == b for n, a, b in zip(shape, strides, expected, strict=True))
