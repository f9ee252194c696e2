"""DLPack: capsules that describe an array in a device's memory, and keep that memory.

https://dmlc.github.io/dlpack/latest/python_spec.html
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

CPU, CUDA, CUDA_MANAGED = 1, 2, 13  # kinds of devices
_READ_ONLY, _COPIED = 1, 2  # flags
_VERSION = (1, 0)
_PLAIN, _VERSIONED = b"dltensor", b"dltensor_versioned"
_USED, _USED_VERSIONED = b"used_dltensor", b"used_dltensor_versioned"  # (a capsule does not copy its name)
_DTYPES = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("number", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32), ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )  # fmt: skip


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))
    major, flags = 0, 0


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    )  # fmt: skip


_is_valid, _pointer, _rename = (
    ctypes.PYFUNCTYPE(result, ctypes.py_object, ctypes.c_char_p)((name, ctypes.pythonapi))
    for name, result in (
        ("PyCapsule_IsValid", ctypes.c_int),
        ("PyCapsule_GetPointer", ctypes.c_void_p),
        ("PyCapsule_SetName", ctypes.c_int),
    )
)
_DELETER = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


class _Holder:
    """The owner of borrowed memory, which returns it to its library when it is deleted."""

    _deleter: Any = None

    def __init__(self, capsule: object) -> None:
        self.managed = _managed(capsule)
        self._deleter = _DELETER(self.managed.deleter) if self.managed.deleter else None
        used = _USED_VERSIONED if type(self.managed) is _Versioned else _USED
        _rename(capsule, used)  # now this object must return the memory

    def __del__(self, over: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._deleter is not None and not over():
            self._deleter(ctypes.addressof(self.managed))


class Borrowed(NamedTuple):
    """An array of another library: its address, its layout, and the owner of its memory."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...] | None  # bytes; None: C-contiguous
    read_only: bool
    stream: int | None  # the library's stream; None: unknown, but the library has let ours wait
    owner: Any


def borrow(array: object, stream: int | None) -> Borrowed:
    """Borrow an array of another library for work on the stream of this number.

    Raises
    ------
    ValueError
        If the library cannot lend the array, or numpy has no such dtype.
    """
    try:
        holder = _Holder(_capsule_of(array, stream))
    except (BufferError, RuntimeError) as error:
        raise ValueError(
            f"An array of another library must be one that it lends, got a {type(array).__name__} that it "
            f"does not: {str(error).rstrip('.')}."
        ) from error
    managed, tensor = holder.managed, holder.managed.tensor
    if managed.major > _VERSION[0]:
        raise ValueError(f"An array's DLPack must be of version 1 at most, got {managed.major}.")
    dtype, axes = _dtype_of(tensor.dtype), range(tensor.ndim)
    strides = tuple(tensor.strides[i] * dtype.itemsize for i in axes) if tensor.strides else None
    shape, address = tuple(tensor.shape[i] for i in axes), (tensor.data or 0) + tensor.offset
    return Borrowed(address, shape, dtype, strides, bool(managed.flags & _READ_ONLY), None, holder)


def _capsule_of(array: Any, stream: int | None) -> Any:
    try:
        return array.__dlpack__(stream=stream, max_version=_VERSION)
    except TypeError:  # the library is older than version 1
        return array.__dlpack__(stream=stream)


def _dtype_of(found: _DataType) -> np.dtype[Any]:
    kind = _DTYPES.get(found.code)
    if kind is None or found.lanes != 1 or found.bits % 8:
        raise ValueError(
            f"An array must have a dtype that numpy has, got code {found.code} of DLPack with {found.bits} "
            "bits; convert it to float32."
        )
    return np.dtype(f"{kind}{found.bits // 8}")


class _Memory:
    """A device's memory under numpy's array interface; it keeps the owner."""

    def __init__(self, array: Any, owner: object) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "data": (array.address, array.read_only), "shape": array.shape, "typestr": array.dtype.str,
            "version": 3,
        }  # fmt: skip


def numpy_view(array: object, owner: object) -> np.ndarray[Any, Any]:
    """Return a numpy array of the device's memory, not to be read, which keeps `owner`."""
    return np.asarray(_Memory(array, owner))


def capsule(
    numbers: np.ndarray[Any, Any], device: tuple[int, int], max_version: tuple[int, int] | None, copied: bool
) -> Any:
    """Make a capsule of a numpy array whose memory is a device's.

    numpy makes the capsule, without reading the memory; then the device is written into the
    capsule. So the deleter is numpy's C function. A deleter in Python could be called while Python
    collects garbage, or ends.

    Raises
    ------
    BufferError
        If the memory is read-only, and `max_version` is too old to say so.
    """
    result = numbers.__dlpack__(max_version=max_version)
    managed = _managed(result)
    managed.tensor.device = _Device(*device)
    if not numbers.size:
        managed.tensor.data = None
    managed.flags |= _COPIED if copied else 0
    return result


def _managed(capsule: object) -> Any:
    """Return the structure in a capsule that is not used yet."""
    if _is_valid(capsule, _VERSIONED):
        return _Versioned.from_address(_pointer(capsule, _VERSIONED))
    return _Managed.from_address(_pointer(capsule, _PLAIN))
