"""Three small runs that show whether a device works: a search, a network, and episodes."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from evoopt.devices.available import why_no_cuda
from evoopt.networks.layers import Dense
from evoopt.networks.network import Network
from evoopt.strategies import CMAES
from evoopt.tasks import envs
from evoopt.tasks.objective import Objective
from evoopt.tasks.rollout import Rollout
from evoopt.types import Array, Device

STEPS = 100  # the return of an episode that keeps the pole upright


class CheckError(Exception):
    """A check computed something wrong: its text is a sentence."""


def check_search(device: Device) -> None:
    """Let CMAES find the optimum of a sphere."""
    optimum = np.array([1.0, -2.0, 0.5])
    task = Objective(lambda x: float(((x - optimum) ** 2).sum()))
    es = CMAES(np.zeros(3), 1.0, seed=1, target=1e-10, max_generations=200, device=device)
    while not es.stop():
        population = es.ask()
        es.tell(population, task(population))
    _require_near("The optimum of a sphere", es.mean, optimum, 1e-3)


def check_network(device: Device) -> None:
    """Compare a forward pass with NumPy."""
    net = Network([Dense(8, "tanh"), Dense(2)], input_shape=(3,), device=device)
    population = np.stack([net.init(seed) for seed in range(5)])
    inputs = np.linspace(-1, 1, 21, dtype=np.float32).reshape(7, 3)
    _require_near(
        "The forward pass of a network",
        np.asarray(net.forward(population, inputs)),
        np.stack([_forward(net, row, inputs) for row in population]),
        1e-5,
    )


def _forward(net: Network, row: Array, inputs: Array) -> Array:
    first, second = net.spec.unravel(row).values()
    hidden = np.tanh(inputs @ first["kernel"] + first["bias"])
    outputs: Array = hidden @ second["kernel"] + second["bias"]
    return outputs


def check_rollout(device: Device) -> None:
    """Play with two rows: one keeps a pole upright, the other always pushes to the left."""
    net = Network([Dense(2)], input_shape=(4,), device=device)
    kernel = np.zeros((4, 2))
    kernel[2:, 1] = 1  # push to the right if angle + angular velocity > 0
    upright = net.spec.ravel({"dense_0": {"kernel": kernel, "bias": np.zeros(2)}})
    population = np.stack([upright, np.zeros_like(upright)])
    task = Rollout(net, envs.cartpole, episodes=2, max_steps=STEPS, device=device)
    balanced, fallen = np.asarray(task(population)).tolist()
    _require_near("The return of a pole that is kept upright", balanced, STEPS, 0)
    _require_near("The return of a pole that is pushed to the left", fallen, 10, 3)


def _require_near(what: str, got: ArrayLike, expected: ArrayLike, tolerance: float) -> None:
    error = np.abs(np.subtract(got, expected)).max()
    if not error <= tolerance:  # true for NaN too
        raise CheckError(f"{what} must be right to {tolerance:g}, got an error of {error:g}.")


CHECKS: dict[str, Callable[[Device], None]] = {
    "CMAES finds the optimum of a sphere": check_search,
    "a forward pass agrees with NumPy": check_network,
    "a generation of episodes is played": check_rollout,
}


def run_checks() -> Iterator[tuple[str, str | None]]:
    """Run all checks on each device; yield the name of each, and its fault or None."""
    devices: list[Device] = ["cpu"] if why_no_cuda() else ["cpu", "cuda"]
    for device in devices:
        for what, check in CHECKS.items():
            yield f"{device}: {what}", _fault_of(check, device)


def _fault_of(check: Callable[[Device], None], device: Device) -> str | None:
    try:
        check(device)
    except CheckError as failed:
        return str(failed)
    except Exception as error:  # whatever a broken installation raises
        return f"{type(error).__name__}: {error}"
    return None
