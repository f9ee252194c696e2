"""Streams: what is queued on a device, in which order, and how arrays come there and back."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from evoopt import arrays
from evoopt.kernels.cuda.jit import SIMULATED, Kernel
from evoopt.kernels.cuda.memory import DeviceArray, Shape, strides_of

if SIMULATED:
    from evoopt.kernels.cuda import simulated as driver
else:
    from evoopt.kernels.cuda import driver  # type: ignore[no-redef]

most_shared_bytes = driver.most_shared_bytes
_DLPACK_CUDA = 2  # kDLCUDA


class Queue:
    """An order of work on the device: a stream, here of another library."""

    def __init__(self, handle: Any) -> None:
        self.handle, self._event = handle, driver.new_event()

    def __del__(self) -> None:
        driver.forget_stream(None, self._event)

    @property
    def number(self) -> int | None:
        """What other libraries know it by."""
        return None if self.handle is None else int(self.handle)

    def precede(self, other: "Queue") -> None:
        """Let what is queued there later wait for what is queued here now."""
        driver.order(self.handle, self._event, other.handle)

    def to_host(self, array: DeviceArray) -> np.ndarray[Any, Any]:
        """Give a copy of an array of this stream in the host's memory, once all is done that was queued."""
        host = np.empty(array.shape, array.dtype)
        if host.size:
            driver.copy_out(host, array.address, self.handle)
        return host


class _Block:
    """Memory, which goes back when the last array in it is gone."""

    __slots__ = ("_address", "_stream")

    def __init__(self, address: int, stream: "Stream") -> None:
        self._address, self._stream = address, stream

    def __del__(self) -> None:
        driver.free(self._address, self._stream.handle)


class Stream(Queue):
    """A queue of work on the device; each object has one of its own.

    An array belongs to the stream that made it. A kernel that takes an array of another stream runs after
    what was queued there before, and what is queued there later runs after the kernel. The host waits only
    for copies that come to it.
    """

    def __init__(self) -> None:
        super().__init__(driver.new_stream())

    def __del__(self) -> None:
        driver.forget_stream(self.handle, self._event)

    def __reduce__(self) -> tuple[type["Stream"], tuple[()]]:
        return Stream, ()  # a copy, or another process, has a queue of its own

    def empty(self, shape: int | Shape, dtype: DTypeLike) -> DeviceArray:
        """Give an array without values."""
        shape, kind = (shape if isinstance(shape, tuple) else (shape,)), np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if not size:
            return DeviceArray(0, shape, kind, self, None)
        address = driver.allocate(size, self.handle)
        return DeviceArray(address, shape, kind, self, _Block(address, self))

    def adopt(self, array: Any) -> DeviceArray:
        """Give an array of the device, of any library, as one of ours: no copy, if it is C-contiguous."""
        if isinstance(array, DeviceArray):
            return array
        found = getattr(array, "__cuda_array_interface__", None) or _interface_of(array, self)
        address, shape, kind = found["data"][0], tuple(found["shape"]), np.dtype(found["typestr"])
        queue = Queue(driver.known_stream(found.get("stream") or 0))
        strides = found.get("strides")
        if strides is None or _is_contiguous(shape, strides, kind.itemsize):
            return DeviceArray(address, shape, kind, queue, array)
        ends = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
        first, last = (sum(pick(0, end) for end in ends) for pick in (min, max))
        span = DeviceArray(address + first, (last - first + kind.itemsize,), np.dtype(np.uint8), queue, array)
        return self.to_device(np.ndarray(shape, kind, queue.to_host(span), -first, strides), kind)

    def given(self, name: str, array: Any) -> Any:
        """Read real numbers as an array where they are: of the device, or of the host."""
        if not is_device_array(array):
            return arrays.read(name, array)
        found = self.adopt(array)
        arrays.require_real(name, found.dtype)
        return found

    def to_device(self, array: ArrayLike, dtype: DTypeLike) -> DeviceArray:
        """Give an array of the device, C-contiguous, of this dtype: itself if it is one, else a copy."""
        if is_device_array(array):
            found = self.adopt(array)
            if found.dtype == dtype:
                return found
            array = np.asarray(found)
        host = np.asarray(array, dtype, order="C")
        result = self.empty(host.shape, host.dtype)
        self.copy(host, result)
        return result

    def output(self, out: Any, shape: Shape, dtype: DTypeLike, **sources: Any) -> DeviceArray:
        """Read an array of the device to write to, apart from the memory of the `sources`; None makes one.

        ValueError for another kind.
        """
        if out is None:
            return self.empty(shape, dtype)
        if not is_device_array(out):
            raise ValueError(f"An out array of the device was expected, but a {type(out).__name__} came.")
        found = self.adopt(out)
        if found.shape != shape or found.dtype != dtype or (found is not out and found.owner is not out):
            raise ValueError(
                f"A C-contiguous out array of {np.dtype(dtype)} {shape} was expected, but {found.dtype} "
                f"{found.shape} came."
            )
        for name, source in sources.items():
            if isinstance(source, DeviceArray) and found.overlaps(source):
                raise arrays.overlap(name)
        return found

    def copy(self, source: Any, target: DeviceArray) -> None:
        """Copy numbers of the host (C-contiguous) or of the device over those of an array of the device."""
        if not target.size:
            return
        others = self._follow([source, target])
        if isinstance(source, DeviceArray):
            driver.copy_within(target.address, source.address, target.nbytes, self.handle)
        else:
            driver.copy_in(target.address, source, self.handle)
        self._precede(others)

    def launch(
        self, kernel: Kernel, grid: int | Shape, threads: int | Shape, *args: Any, shared: int = 0
    ) -> None:
        """Queue a kernel on blocks of so many threads, with so many bytes of dynamic shared memory."""
        others = self._follow(args)
        driver.launch(kernel, _three(grid), _three(threads), shared, self.handle, args)
        self._precede(others)

    def _follow(self, args: Iterable[Any]) -> Iterable[Queue]:
        """Wait for the streams of arrays; gives those that are others."""
        others = {id(array.stream): array.stream for array in _arrays(args) if array.stream is not self}
        for other in others.values():
            other.precede(self)
        return others.values()

    def _precede(self, others: Iterable[Queue]) -> None:
        for other in others:
            self.precede(other)


def is_device_array(array: Any) -> bool:
    """Tell whether an array is in the memory of a device: ours, or of torch, CuPy or JAX."""
    if isinstance(array, DeviceArray):
        return True
    if isinstance(array, np.ndarray):
        return False
    if hasattr(array, "__cuda_array_interface__"):
        return True
    return hasattr(array, "__dlpack_device__") and array.__dlpack_device__()[0] == _DLPACK_CUDA


def alignment_of(rows: DeviceArray) -> int:
    """Give at multiples of how many numbers the rows of an array (k, n) begin: 1, 2 or 4."""
    return math.gcd(4, rows.shape[1], rows.address // rows.dtype.itemsize)


def _interface_of(array: Any, stream: Stream) -> dict[str, Any]:
    """Give the CUDA Array Interface of an array that has DLPack's."""
    from cuda.core.utils import StridedMemoryView  # noqa: PLC0415  (part of what numba-cuda needs)

    view = StridedMemoryView.from_dlpack(array, stream_ptr=stream.number)
    strides = view.strides and tuple(s * view.dtype.itemsize for s in view.strides)
    return {
        "shape": tuple(view.shape), "strides": strides, "typestr": view.dtype.str, "data": (view.ptr, False),
        "stream": stream.number, "owner": view,
    }  # fmt: skip


def _is_contiguous(shape: Shape, strides: Iterable[int], itemsize: int) -> bool:
    expected = strides_of(shape, itemsize)
    return 0 in shape or all(n == 1 or a == b for n, a, b in zip(shape, strides, expected, strict=True))


def _arrays(args: Iterable[Any]) -> Iterator[DeviceArray]:
    """Give the arrays among arguments, and in tuples of them."""
    for arg in args:
        if isinstance(arg, DeviceArray):
            yield arg
        elif isinstance(arg, tuple):
            yield from _arrays(arg)


def _three(size: int | Shape) -> tuple[int, int, int]:
    x, y, z = (*(size if isinstance(size, tuple) else (size,)), 1, 1)[:3]
    return x, y, z
