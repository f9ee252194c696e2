"""How kernels for CUDA are compiled and launched: options and streams, decided once.

`kernel` is what `Stream.launch` runs, `part` what kernels are made of where that speaks of threads or shared
memory; scalar rules (`evoopt.kernels.math`, environments) are those of the CPU, called as they are. Division
and roots round as IEEE 754 says, products and sums may be fused; there is no other fast arithmetic but what
`intrinsics` names.
"""

import copyreg
import importlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numba import cuda
from numba.core import config
from numpy.typing import ArrayLike, DTypeLike

from evoopt.kernels.jit import is_rule

SIMULATED = bool(config.ENABLE_CUDASIM)
SHARED_BYTES = 48 * 1024  # that every device gives a block without being asked
# of dynamic shared memory that is read by 128 bits: else it begins where other shared arrays end
DYNAMIC_ALIGNMENT = None if SIMULATED else 16

DeviceArray = Any  # numba.cuda's: it has __cuda_array_interface__, and __array__ copies it to the host


def kernel(threads: int, blocks: int = 1, name: str | None = None) -> Callable[[Callable[..., None]], Any]:
    """Compile for blocks of up to so many threads, of which so many are to fit a multiprocessor together.

    A kernel with a name, which says all that its closure depends on (`name_of`), is kept on disk.
    """
    if SIMULATED:
        return cuda.jit()
    compiler = cuda.jit(launch_bounds=(threads, blocks))
    if name is None:
        return compiler
    from evoopt.kernels.cuda.cache import cached  # noqa: PLC0415  (the simulator has none)

    return lambda function: cached(compiler, function, name)


def name_of(*parts: Any) -> str | None:
    """Name what a kernel is specialised for; None, and so no cache, if a function of the user's is among it.

    `parts` are numbers, strings, dtypes, functions that `jit.rule` made, and tuples of them.
    """
    names = [_name_of(part) for part in parts]
    return None if None in names else f"({', '.join(map(str, names))})"


def _name_of(part: Any) -> str | None:
    if isinstance(part, tuple):
        return name_of(*part)
    if is_rule(part):
        return f"{part.__module__}.{part.__qualname__}"
    if isinstance(part, np.dtype) or (isinstance(part, type) and issubclass(part, np.generic)):
        return np.dtype(part).str
    if part is None or isinstance(part, bool | int | float | str | np.generic):
        return repr(part)
    return None


def block_size(threads: int) -> int:
    """Give the threads of a block: so many on a device, and few in the simulator, which is slow."""
    return min(threads, 8) if SIMULATED else threads


def most_shared_bytes() -> int:
    """Give what a block can have if it asks."""
    if SIMULATED:
        return SHARED_BYTES
    found: int = cuda.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    return found


def alignment_of(rows: DeviceArray) -> int:
    """Give at multiples of how many numbers the rows of an array (k, n) begin: 1, 2 or 4."""
    address = rows.ctypes.data if SIMULATED else rows.device_ctypes_pointer.value or 0
    return math.gcd(4, rows.shape[1], address // rows.dtype.itemsize)


def part(function: Callable[..., Any]) -> Any:
    """Compile a part of kernels that uses `numba.cuda`; always inlined."""
    return cuda.jit(device=True)(function) if SIMULATED else cuda.jit(device=True, forceinline=True)(function)


def is_device_array(array: Any) -> bool:
    """Tell whether an array is in the memory of a device: ours, or of torch, CuPy or JAX."""
    if isinstance(array, np.ndarray):
        return False
    if hasattr(array, "__cuda_array_interface__") or getattr(array, "__cuda_ndarray__", False):
        return True
    return hasattr(array, "__dlpack_device__") and array.__dlpack_device__()[0] == _DLPACK_CUDA


_DLPACK_CUDA = 2  # kDLCUDA


def _as_numpy(array: DeviceArray) -> tuple[Any, tuple[Any, ...]]:
    return np.array, (np.asarray(array),)


# pickles and deep copies of what holds arrays of a device have arrays of the host instead: numba has none
copyreg.pickle(
    cuda.cudadrv.devicearray.FakeCUDAArray if SIMULATED else cuda.cudadrv.devicearray.DeviceNDArray, _as_numpy
)


class Stream:
    """A queue of work on the device; each object has one of its own.

    An array belongs to the stream that made it. A kernel that takes an array of another stream runs after
    what was queued there before, and what is queued there later runs after the kernel. The host waits only
    in `to_host`.
    """

    def __init__(self) -> None:
        self.handle = cuda.stream()

    def __reduce__(self) -> tuple[type["Stream"], tuple[()]]:
        return Stream, ()  # a copy, or another process, has a queue of its own

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """Give an array without values."""
        return cuda.device_array(shape, np.dtype(dtype), stream=self.handle)

    def adopt(self, array: Any) -> DeviceArray:
        """Give an array of the device, of another library as a rule, as one of numba's: no copy."""
        return array if hasattr(array, "is_c_contiguous") else _adopted(array, self.handle)

    def to_device(self, array: ArrayLike, dtype: DTypeLike) -> DeviceArray:
        """Give an array of the device, C-contiguous, of this dtype: itself if it is one, else a copy."""
        if is_device_array(array):
            found = self.adopt(array)
            if found.dtype == dtype and found.is_c_contiguous():
                return found
            array = self.to_host(found)
        host = np.ascontiguousarray(array, dtype)
        copy = self.empty(host.shape, host.dtype)
        if host.size:
            copy.copy_to_device(host, stream=self.handle)
        return copy

    def to_host(self, array: DeviceArray) -> np.ndarray[Any, Any]:
        """Give a copy in the host's memory, once all is done that was queued."""
        found = self.adopt(array)
        self._follow(found)
        host: np.ndarray[Any, Any] = found.copy_to_host(stream=self.handle)
        self.handle.synchronize()
        return host

    def launch(
        self,
        kernel: Any,
        grid: int | tuple[int, ...],
        threads: int | tuple[int, ...],
        *args: Any,
        shared: int = 0,
    ) -> None:
        """Queue a kernel on blocks of so many threads, with so many bytes of dynamic shared memory."""
        streams = map(_stream_of, _flat(args))
        others = {id(s): s for s in streams if s is not None and s is not self.handle}
        for other in others.values():
            _order(other, self.handle)
        if shared and not SIMULATED:
            _allow(kernel, args, shared)
        _configured(kernel, (grid, threads, self.handle, shared))(*args)
        for other in others.values():
            _order(self.handle, other)

    def _follow(self, array: DeviceArray) -> None:
        other = _stream_of(array)
        if other is not None and other is not self.handle:
            _order(other, self.handle)


def _configured(kernel: Any, configuration: tuple[Any, ...]) -> Any:
    """Give a kernel with its configuration, without a warning where the grid is small."""
    if SIMULATED:
        return kernel[configuration]
    with _CONFIGURING:
        hint, config.CUDA_LOW_OCCUPANCY_WARNINGS = config.CUDA_LOW_OCCUPANCY_WARNINGS, 0
        try:
            return kernel[configuration]
        finally:
            config.CUDA_LOW_OCCUPANCY_WARNINGS = hint


_CONFIGURING = threading.Lock()


def _allow(kernel: Any, args: tuple[Any, ...], shared: int) -> None:
    """Ask for dynamic shared memory, once for each kernel; numba-cuda does not.

    What a kernel gets by itself is `SHARED_BYTES` less what its other shared arrays take.
    """
    allowed: dict[tuple[Any, ...], int] = kernel.__dict__.setdefault("_allowed", {})
    types = tuple(kernel.typeof_pyval(arg) for arg in args)
    if allowed.get(types, 0) < shared:
        function = kernel.compile(types)._codelibrary.get_cufunc()
        driver = importlib.import_module("numba.cuda.cudadrv.driver")
        attribute = driver.binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        driver.driver.cuKernelSetAttribute(attribute, shared, function.handle, function.device.id)
        allowed[types] = shared


def _flat(args: Iterable[Any]) -> Iterator[Any]:
    """Give arguments, and those in tuples."""
    for arg in args:
        if isinstance(arg, tuple):
            yield from arg
        else:
            yield arg


def _stream_of(array: Any) -> Any:
    stream = getattr(array, "stream", None)
    return stream if hasattr(stream, "synchronize") else None  # (0 is nobody's)


def _order(before: Any, after: Any) -> None:
    """Let what is queued later on one stream wait for what is queued now on another."""
    event = cuda.event() if SIMULATED else cuda.event(timing=False)
    event.record(before)
    event.wait(after)


def _adopted(array: Any, stream: Any) -> DeviceArray:
    """Give an array of another library as one of numba's, without a copy."""
    if hasattr(array, "__cuda_array_interface__"):
        return cuda.as_cuda_array(array)  # waits for the stream that the array names
    from cuda.core.utils import StridedMemoryView  # noqa: PLC0415  (part of what numba-cuda needs)

    view = StridedMemoryView.from_dlpack(array, stream_ptr=int(stream.handle))
    strides = view.strides and tuple(s * view.dtype.itemsize for s in view.strides)
    interface = {
        "shape": tuple(view.shape), "strides": strides, "typestr": view.dtype.str,
        "data": (view.ptr, bool(view.readonly)), "version": 3,
    }  # fmt: skip
    return cuda.from_cuda_array_interface(interface, owner=view)
