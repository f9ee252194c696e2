"""The choice of engines: the only place that depends on the name of the device."""

from collections.abc import Callable
from typing import Any, Literal, cast, overload

import numpy as np
from numba.core.dispatcher import Dispatcher

from evoopt.devices.cpu.function_network import CpuFunctionNetwork
from evoopt.devices.cpu.network import CpuNetwork
from evoopt.devices.cpu.objective import CpuObjective
from evoopt.devices.cpu.population import CpuPopulation
from evoopt.devices.cpu.rollout import CpuRollout
from evoopt.devices.cpu.supervised import CpuSupervised, FunctionSupervised
from evoopt.devices.interface.network import FunctionDescription, NetworkDescription, NetworkEngine
from evoopt.devices.interface.objective import ObjectiveEngine
from evoopt.devices.interface.population import Engine
from evoopt.devices.interface.rollout import EpisodeEngine, Game, RolloutEngine
from evoopt.devices.interface.supervised import Loss, Samples, SupervisedEngine
from evoopt.types import Device

HOST: Engine = CpuPopulation()


def objective_engine(function: Callable[..., Any]) -> ObjectiveEngine | None:
    """Make the engine of a function that numba compiled; return None for any other function."""
    return CpuObjective(function) if isinstance(function, Dispatcher) else None


def network_engine(
    device: Device, description: NetworkDescription | FunctionDescription
) -> NetworkEngine[Any]:
    """Make the engine of a network; raise ValueError for a device that cannot run it."""
    if isinstance(description, FunctionDescription):
        return _function_engine(device, description)
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415  (which needs numba-cuda)

        return CudaNetwork(description)
    return CpuNetwork(description)


def _function_engine(device: Device, description: FunctionDescription) -> CpuFunctionNetwork:
    if device == "cuda":
        raise ValueError(
            'device must be "cpu" for a FunctionNetwork, got "cuda": its outputs come to the host; take '
            'device="cpu", and let the function itself compute on a GPU.'
        )
    return CpuFunctionNetwork(description)


def supervised_engine(
    device: Device, network: NetworkEngine[Any], loss: Loss, samples: Samples
) -> SupervisedEngine[Any]:
    """Make the engine that evaluates populations on samples, with the engine of a network."""
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415
        from evoopt.devices.cuda.supervised import CudaSupervised  # noqa: PLC0415

        return CudaSupervised(cast(CudaNetwork, network), loss, samples)
    if isinstance(network, CpuFunctionNetwork):
        return FunctionSupervised(network, loss, samples)
    return CpuSupervised(cast(CpuNetwork, network), loss, samples)


@overload
def rollout_engine(device: Literal["cpu"], net: NetworkEngine[Any], game: Game) -> EpisodeEngine: ...
@overload
def rollout_engine(device: Device, net: NetworkEngine[Any], game: Game) -> RolloutEngine[Any]: ...


def rollout_engine(device: Device, net: NetworkEngine[Any], game: Game) -> RolloutEngine[Any]:
    """Make the engine that plays a game, with the engine of a network on the same device."""
    if device == "cuda":
        from evoopt.devices.cuda.network import CudaNetwork  # noqa: PLC0415  (which needs numba-cuda)
        from evoopt.devices.cuda.rollout import CudaRollout  # noqa: PLC0415

        return CudaRollout(cast(CudaNetwork, net), game)
    return CpuRollout(cast(CpuNetwork, net), game)


def population_engine(device: Device, *, computes_there: bool) -> Engine:
    """Return the engine of a strategy, which computes there, or on the host and copies rows."""
    if device == "cpu":
        return HOST
    if not computes_there:
        from evoopt.devices.cuda.copying import CopyingPopulation  # noqa: PLC0415  (which needs numba-cuda)

        return CopyingPopulation()
    from evoopt.devices.cuda.population import CudaPopulation  # noqa: PLC0415  (as well)

    return CudaPopulation()


def snapshot_dtype(device: Device, dtype: np.dtype[Any], *, computes_there: bool) -> np.dtype[Any]:
    """Return the dtype that `PopulationEngine.snapshot` returns for rows of a dtype."""
    return np.dtype(np.float64) if computes_there and device == "cuda" else dtype
