"""Arrays of other libraries on the device: how they are recognised and read."""

from typing import Any

import numpy as np

from evoopt.kernels.cuda.runtime import dlpack
from evoopt.kernels.cuda.runtime.dlpack import Borrowed
from evoopt.kernels.cuda.runtime.memory import DeviceArray

LEGACY = 1  # the number of the legacy default stream: our streams wait for it, and it for ours


def is_device_array(array: object) -> bool:
    """Return whether an array is on a device: ours, or one of torch, CuPy, JAX or Numba."""
    if isinstance(array, DeviceArray):
        return True
    if isinstance(array, np.ndarray):
        return False
    if hasattr(array, "__dlpack_device__"):
        return array.__dlpack_device__()[0] in (dlpack.CUDA, dlpack.CUDA_MANAGED)
    return hasattr(array, "__cuda_array_interface__")


def borrow(array: Any, stream: int | None, device: int) -> Borrowed:
    """Borrow an array of another library for work on a stream of a device, given by numbers.

    DLPack comes first, because it makes the stream wait until the library has written the array.

    Raises
    ------
    ValueError
        If the library does not lend the array, or it is masked, or on another device.
    """
    if not hasattr(array, "__dlpack__"):
        return _by_interface(array)
    own = array.__dlpack_device__()[1]
    if own != device:
        raise ValueError(
            f"An array must be on device {device}, where evoopt computes, got one on device {own}; copy it."
        )
    return dlpack.borrow(array, stream)


def _by_interface(array: Any) -> Borrowed:
    """Read the CUDA Array Interface."""
    found = array.__cuda_array_interface__
    if found.get("mask") is not None:
        raise ValueError("An array must be without masked entries, got a mask; fill them, or leave them out.")
    address, read_only = found["data"]
    strides = found.get("strides")
    return Borrowed(
        address, tuple(found["shape"]), np.dtype(found["typestr"]), strides and tuple(strides), read_only,
        found.get("stream") or LEGACY, array,
    )  # fmt: skip
