"""Which device: reading the word that users pass, and whether there is what it needs."""

import functools
import importlib
import importlib.util
from typing import Any, Literal

from numba.core import config

Device = Literal["cpu", "cuda"]
_INSTALL = 'pip install "evoopt[cuda]"'


def read_device(device: Any) -> Device:
    """Read a device; for "cuda" also see that it can be used.

    Raises
    ------
    ValueError
        For another word than "cpu" or "cuda".
    ImportError
        If the package numba-cuda, or the compiler that it uses, is missing.
    RuntimeError
        If there is no driver or no device.
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f'A device of "cpu" or "cuda" was expected, but {device!r} came.')
    if device == "cuda":
        _require_cuda()
    found: Device = device
    return found


@functools.cache  # of what succeeded
def _require_cuda() -> None:
    if importlib.util.find_spec("numba_cuda") is None:
        raise ImportError(f'device="cuda" needs the package numba-cuda, which is not installed; {_INSTALL}.')
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        raise ImportError(f'device="cuda" needs the package cuda-bindings, which is missing; {_INSTALL}.')
    cuda = importlib.import_module("numba.cuda")
    if getattr(cuda, "implementation", None) != "NVIDIA":
        raise ImportError(
            f'device="cuda" needs numba-cuda, but an older numba.cuda was imported before it; {_INSTALL}.'
        )
    if config.ENABLE_CUDASIM:
        return
    nvvm = importlib.import_module("numba.cuda.cudadrv.nvvm")
    if not nvvm.is_available():
        raise ImportError(f'device="cuda" needs the compiler NVVM, which is missing; {_INSTALL}.')
    if not cuda.is_available():
        raise RuntimeError(
            'device="cuda" needs a GPU of NVIDIA and its driver, but none was found: '
            f'{_driver_error()}; install the driver, or take device="cpu".'
        )


def _driver_error() -> str:
    driver = importlib.import_module("numba.cuda.cudadrv.driver").driver
    return " ".join(str(driver.initialization_error or "no device is visible").split())
