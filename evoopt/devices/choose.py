"""Which device: reading the word that users pass, and whether there is what it needs."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Literal, cast, overload

from numba.core import config
from numba.core.dispatcher import Dispatcher

from evoopt.arrays import shown
from evoopt.devices.cpu.network import CpuNetwork
from evoopt.devices.cpu.objective import CpuObjective
from evoopt.devices.cpu.rollout import CpuRollout
from evoopt.devices.cpu.supervised import CpuSupervised
from evoopt.devices.interface.network import NetworkDescription, NetworkEngine
from evoopt.devices.interface.objective import ObjectiveEngine
from evoopt.devices.interface.rollout import EpisodeEngine, Game, RolloutEngine
from evoopt.devices.interface.supervised import LossName, Samples, SupervisedEngine
from evoopt.types import Device

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
    if not isinstance(device, str) or device not in ("cpu", "cuda"):
        raise ValueError(f'A device of "cpu" or "cuda" was expected, but {shown(device)} came.')
    if device == "cuda":
        _require_cuda()
    return "cuda" if device == "cuda" else "cpu"


@functools.cache  # of what succeeded
def _require_cuda() -> None:
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
            f'device="cuda" needs a GPU of NVIDIA and its driver, but {_driver_error()}; '
            'install the driver, or take device="cpu".'
        )


def _require_library(library: str, package: str) -> None:
    """Load a part of the compiler; numba-cuda by itself brings none, and finds out as late as it compiles."""
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


def objective_engine(function: Callable[..., Any]) -> ObjectiveEngine | None:
    """Make what evaluates a function that numba compiled on rows; None for another function."""
    return CpuObjective(function) if isinstance(function, Dispatcher) else None


def network_engine(device: Device, description: NetworkDescription) -> NetworkEngine[Any]:
    """Make the engine of a network; ValueError for layers that the device does not have."""
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415  (which needs numba-cuda)

        return CudaNetwork(description)
    return CpuNetwork(description)


def supervised_engine(
    device: Device, network: NetworkEngine[Any], loss: LossName, samples: Samples
) -> SupervisedEngine[Any]:
    """Make what judges populations on samples, with the engine of a network on the device."""
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415
        from evoopt.devices.cuda.supervised import CudaSupervised  # noqa: PLC0415

        return CudaSupervised(cast(CudaNetwork, network), loss, samples)
    return CpuSupervised(cast(CpuNetwork, network), loss, samples)


@overload
def rollout_engine(device: Literal["cpu"], net: NetworkEngine[Any], game: Game) -> EpisodeEngine: ...
@overload
def rollout_engine(device: Device, net: NetworkEngine[Any], game: Game) -> RolloutEngine[Any]: ...


def rollout_engine(device: Device, net: NetworkEngine[Any], game: Game) -> RolloutEngine[Any]:
    """Make what plays a game with a network, given as its engine on the same device."""
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415  (which needs numba-cuda)
        from evoopt.devices.cuda.rollout import CudaRollout  # noqa: PLC0415

        return CudaRollout(cast(CudaNetwork, net), game)
    return CpuRollout(cast(CpuNetwork, net), game)
