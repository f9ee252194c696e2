"""Arrays in the memory of a device."""

import functools
import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from evoopt.kernels.cuda.runtime import dlpack
from evoopt.types import Shape


class DeviceArray:
    """An array in the memory of a device, in C order.

    CuPy, PyTorch, JAX and Numba take it without a copy, by DLPack or the CUDA Array Interface;
    ``numpy.asarray`` copies it to the host's memory. Rows, slices of rows, `reshape` and `view`
    share its memory.

    Parameters
    ----------
    address : int
        The address of the first number; 0 if the array is empty.
    shape : tuple of int
    dtype : dtype
    stream : Queue
        The queue of work that it belongs to.
    owner : _Allocation or Borrowed
        The owner of the memory, which knows whether it is read-only; None if the array is empty.
    """

    __slots__ = ("__weakref__", "address", "dtype", "kind", "owner", "shape", "size", "stream", "words")

    def __init__(self, address: int, shape: Shape, dtype: np.dtype[Any], stream: Any, owner: Any) -> None:
        self.address, self.shape, self.dtype, self.stream, self.owner = address, shape, dtype, stream, owner
        self.size = math.prod(shape)
        # Kernels are compiled for a kind of array, and read numba's structure of an array, which
        # begins with its owner (nobody) and ends with shape and strides.
        self.kind = dtype, len(shape)
        strides = strides_of(shape, dtype.itemsize)
        self.words = (0, 0, self.size, dtype.itemsize, address, *shape, *strides)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return self.size * self.dtype.itemsize

    @property
    def alignment(self) -> int:
        """The largest of 1, 2 and 4 such that rows (k, n) begin at multiples of so many numbers."""
        return math.gcd(4, self.shape[1], self.address // self.dtype.itemsize)

    @property
    def read_only(self) -> bool:
        """Whether the library that lent the array forbids to write to it."""
        return self.owner is not None and self.owner.read_only

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape, "strides": None, "typestr": self.dtype.str,
            "data": (self.address if self.size else 0, self.read_only), "stream": self.stream.number,
            "version": 3,
        }  # fmt: skip

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.stream.device_number

    def __dlpack__(
        self, *, stream: int | None = None, max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None, copy: bool | None = None,
    ) -> Any:  # fmt: skip
        """Return a capsule that keeps the memory, as the array API standard says.

        Later work of `stream` waits for the work that is queued on ours now, unless `stream` is -1.

        Raises
        ------
        BufferError
            For a device other than this one and the host; for read-only memory, if `max_version` is
            too old to say so.
        ValueError
            For a stream of 0, which is ambiguous; for the host with ``copy=False``.
        """
        own = self.__dlpack_device__()
        device = own if dl_device is None else (int(dl_device[0]), int(dl_device[1]))
        if device == (dlpack.CPU, 0):
            return dlpack.capsule(self.__array__(copy=copy), device, max_version, copied=True)
        if device != own:
            raise BufferError(f"dl_device must be {own} or {(dlpack.CPU, 0)}, got {device}.")
        array = self.stream.copied(self) if copy else self
        owner = array.stream.lend(array, stream)
        return dlpack.capsule(dlpack.numpy_view(array, owner), device, max_version, copied=bool(copy))

    def __jax_array__(self) -> Any:
        """Return a JAX array by DLPack, because by the CUDA Array Interface JAX keeps no memory."""
        return importlib.import_module("jax.numpy").from_dlpack(self)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("An array of the device is copied to the host; take copy=None.")
        host: np.ndarray[Any, Any] = self.stream.to_host(self)
        return host if dtype is None else host.astype(dtype, copy=False)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("A number without axes has no length.")
        return self.shape[0]

    def __getitem__(self, key: object) -> Any:
        """Return a row or a slice of rows, which share the memory, or a number in the host's."""
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._part(start, (max(stop - start, 0), *self.shape[1:]))
        elif isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"Row {key} was asked for, but there are {len(self)}.")
            row = self._part(int(key) % len(self), self.shape[1:])
            return row if row.shape else np.asarray(row)[()]
        raise IndexError(
            "An index of an array of the device must be a row, or a slice of rows side by side, got "
            f"{key!r}; take numpy.asarray, or the array of another library."
        )

    def rest(self, start: int) -> "DeviceArray":
        """Return the rows from `start` on, none if there are fewer; they share the memory."""
        first = min(start, self.shape[0])
        return self._part(first, (self.shape[0] - first, *self.shape[1:])) if start else self

    def _part(self, first: int, shape: Shape) -> "DeviceArray":
        address = self.address + first * math.prod(self.shape[1:]) * self.dtype.itemsize
        return DeviceArray(address, shape, self.dtype, self.stream, self.owner)

    def reshape(self, *shape: int | Shape) -> "DeviceArray":
        """Return the same numbers in another shape."""
        given: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        if math.prod(given) != self.size:
            raise ValueError(f"An array of shape {self.shape} has no {math.prod(given)} numbers.")
        return DeviceArray(self.address, tuple(given), self.dtype, self.stream, self.owner)

    def view(self, dtype: DTypeLike) -> "DeviceArray":
        """Return the same bytes as numbers of another dtype, along the last axis."""
        other = np.dtype(dtype)
        last = self.shape[-1] * self.dtype.itemsize // other.itemsize
        return DeviceArray(self.address, (*self.shape[:-1], last), other, self.stream, self.owner)

    def overlaps(self, other: "DeviceArray") -> bool:
        """Return whether both arrays have a byte in common."""
        return self.address < other.address + other.nbytes and other.address < self.address + self.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        return np.array, (np.asarray(self),)  # pickles and deep copies are arrays of the host

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"


@functools.lru_cache(maxsize=1024)
def strides_of(shape: Shape, itemsize: int) -> Shape:
    """Return the bytes from one number to the next along each axis, in C order."""
    strides = [itemsize] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)
