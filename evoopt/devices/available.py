"""The user's choice of a device, the check of its requirements, and its name."""

import functools
import importlib
import importlib.util

from numba.core import config
from numba.core.registry import cpu_target

from evoopt.arrays import shown
from evoopt.kernels.cpu.emit.vectors import host_vectors
from evoopt.types import Device

_INSTALL = 'pip install "evoopt[cuda]"'


def read_device(device: object) -> Device:
    """Read the name of a device; for "cuda" also check that it can be used.

    Raises
    ------
    ValueError
        For anything but "cpu" or "cuda".
    ImportError
        If the package numba-cuda, or the compiler that it uses, is missing.
    RuntimeError
        If there is no driver or no GPU.
    """
    if not isinstance(device, str) or device not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda", got {shown(device)}.')
    if device == "cuda":
        require_cuda()
    return "cuda" if device == "cuda" else "cpu"


def why_no_cuda() -> str | None:
    """Return a sentence that says why "cuda" cannot be used; None if it can."""
    try:
        require_cuda()
    except (ImportError, RuntimeError) as error:
        return str(error)
    return None


def described(device: Device) -> str:
    """Return the name of an available device; for the CPU also the width of its vectors."""
    if device == "cuda":
        gpus = importlib.import_module("numba.cuda").gpus
        return "numba's simulator" if config.ENABLE_CUDASIM else str(gpus[0].name)
    _, name, _ = cpu_target.target_context.codegen().magic_tuple()
    return f"{name}, vectors of {8 * host_vectors().bytes} bits"


@functools.cache  # only a success is kept
def require_cuda() -> None:
    """Raise ImportError or RuntimeError, which says why, if "cuda" cannot be used."""
    for module, package in (
        ("numba_cuda", "numba-cuda"),
        ("cuda", "cuda-core"),
        ("cuda.bindings", "cuda-bindings"),
    ):
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f'device="cuda" needs the package {package}, which is not installed; {_INSTALL}.'
            )
    cuda = importlib.import_module("numba.cuda")
    if getattr(cuda, "implementation", None) != "NVIDIA":
        raise ImportError(
            f'device="cuda" needs numba-cuda, but an older numba.cuda was imported before it; {_INSTALL}.'
        )
    if config.ENABLE_CUDASIM:
        return
    for library, package in (("nvvm", "nvidia-nvvm"), ("nvrtc", "nvidia-cuda-nvrtc")):
        _require_library(library, package)
    if not cuda.is_available():
        raise RuntimeError(
            f'device="cuda" needs an NVIDIA GPU and its driver, but {_driver_error()}; '
            'install the driver, or take device="cpu".'
        )


def _require_library(library: str, package: str) -> None:
    """Load a library of the compiler, which numba-cuda would miss only when it compiles."""
    pathfinder = importlib.import_module("cuda.pathfinder")
    try:
        pathfinder.load_nvidia_dynamic_lib(library)
    except pathfinder.DynamicLibNotFoundError as error:
        raise ImportError(
            f'device="cuda" needs the compiler\'s library {library}, of the package {package}, '
            f"which was not found; {_INSTALL}."
        ) from error


def _driver_error() -> str:
    driver = importlib.import_module("numba.cuda.cudadrv.driver").driver
    lines = str(driver.initialization_error or "").split("\n")
    reason = next((line.strip(" .") for line in lines if line.strip()), "no device is visible")
    return f"none was found ({reason})"
