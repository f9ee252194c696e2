"""Ten CUDA kernels against CPU kernels: ``python -m benchmarks.harness.smoke``.

The program prints the largest difference of each kernel, and ends with 1 if one is off. It takes as
long as the kernels take to compile, and is the first thing to run on a device.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import evoopt
from evoopt.devices.choose import population_engine
from evoopt.rules import genetic as rules
from evoopt.strategies.contract.bounds import Box

DEVICES = ("cpu", "cuda")
SINGLE, DOUBLE = 1e-4, 1e-12
KEY = np.uint64(12345)


class Sizes(NamedTuple):
    """Sizes of the checks: rows and columns of a population, and networks, units and samples."""

    rows: int = 70
    columns: int = 300
    networks: int = 9
    units: int = 64
    samples: int = 300


FULL = Sizes()


class Check(NamedTuple):
    """A kernel, and its tolerance to the CPU's results, relative for numbers above 1."""

    name: str
    compute: Callable[[str, Sizes], Any]  # (device, sizes) -> results
    tolerance: float


def _engine(device: str) -> Any:
    """Return the engine of strategies on a device."""
    return population_engine(device, computes_there=True)


def _normal(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def _population(device: str, sizes: Sizes, scale: float = 1.0, dtype: Any = np.float32) -> tuple[Any, Any]:
    """Return the engine of a device, and a population on it."""
    engine, rows = _engine(device), _normal(sizes.rows, sizes.columns, dtype=dtype)
    return engine, engine.rows(rows * rows.dtype.type(scale), rows.dtype)


def _ids(sizes: Sizes) -> Any:
    return np.arange(sizes.rows, dtype=np.uint64) + np.uint64(2**40)


def noise(device: str, sizes: Sizes) -> Any:
    engine, out = _population(device, sizes)
    n = sizes.columns
    engine.sample(KEY, _ids(sizes), np.linspace(-1, 1, n), np.linspace(0.1, 2, n), out)
    return out


def children(device: str, sizes: Sizes) -> Any:
    engine, out = _population(device, sizes)
    k, n, pool = sizes.rows, sizes.columns, _normal(9, sizes.columns)
    parents = np.stack([np.arange(k) % 9, np.arange(k) % 7], axis=1)
    variation = rules.SBX, np.zeros(0, np.int64), rules.POLYNOMIAL, np.uint64(2**31)
    steps, limit = np.linspace(0.5, 1, k), np.float32(100)
    engine.breed(KEY, _ids(sizes), parents, pool, steps, np.ones(n), variation, limit, out)
    return out


def box(device: str, sizes: Sizes) -> Any:
    engine, rows = _population(device, sizes, scale=3)
    engine.enclose(Box((-1.0, 2.0), sizes.columns, rows.dtype, reflects=False), rows)
    return rows


def fingerprints(device: str, sizes: Sizes) -> Any:
    engine, rows = _population(device, sizes)
    return np.asarray(engine.fingerprints(rows)).view(np.int32)


def ranks(device: str, sizes: Sizes) -> Any:
    fitness = np.round(_normal(sizes.rows, dtype=np.float64), 1)  # some are equal
    fitness[3] = np.nan
    engine = _engine(device)
    return engine.centred_ranks(np.argsort(fitness, kind="stable"), engine.vector(fitness))


def moments(device: str, sizes: Sizes) -> Any:
    engine, rows = _population(device, sizes, dtype=np.float64)
    weights = np.linspace(1, -1, sizes.rows)
    found = engine.moments(rows, weights, weights**2, np.full(sizes.columns, 0.5))
    return np.concatenate([*map(np.asarray, found)])


def _network(n_in: int, units: Sequence[int], device: str) -> evoopt.Network:
    layers = [*(evoopt.Dense(n, "tanh") for n in units[:-1]), evoopt.Dense(units[-1])]
    return evoopt.Network(layers, input_shape=(n_in,), device=device)


def forward(own: bool, device: str, sizes: Sizes) -> Any:
    net = _network(8, (sizes.units, sizes.units, 4), device)
    inputs = _normal(sizes.networks, 5, 8) if own else _normal(sizes.samples, 8)
    return net.forward(0.3 * _normal(sizes.networks, net.spec.size), inputs)


def loss(device: str, sizes: Sizes) -> Any:
    net = _network(16, (sizes.units, 10), device)
    task = evoopt.Supervised(net, _normal(sizes.samples, 16), np.arange(sizes.samples) % 10)
    return task(0.3 * _normal(sizes.networks, net.spec.size))


def rollout(device: str, sizes: Sizes) -> Any:
    net = _network(4, (sizes.units, 2), "cpu")
    task = evoopt.Rollout(net, evoopt.envs.cartpole, episodes=3, max_steps=30, device=device)
    return task(_normal(sizes.networks, net.spec.size))


CHECKS = (
    Check("noise", noise, SINGLE),
    Check("children", children, SINGLE),
    Check("box", box, SINGLE),
    Check("fingerprints", fingerprints, 0.0),
    Check("ranks", ranks, 0.0),
    Check("moments", moments, DOUBLE),
    Check("forward, samples of each row its own", partial(forward, True), SINGLE),
    Check("forward, samples that all share", partial(forward, False), SINGLE),
    Check("loss", loss, SINGLE),
    Check("rollout", rollout, SINGLE),
)


def difference(check: Check, sizes: Sizes = FULL) -> float:
    """Return the largest difference between devices; infinite for other shapes or NaN places."""
    expected, found = (np.asarray(check.compute(device, sizes), np.float64) for device in DEVICES)
    if found.shape != expected.shape or (np.isnan(found) != np.isnan(expected)).any():
        return math.inf
    return float(np.nanmax(abs(found - expected) / np.maximum(1, abs(expected))))


def main(checks: Sequence[Check] = CHECKS) -> int:
    """Run the checks; the exit code is 1 if one is off, or raises."""
    off = 0
    for check in checks:
        start, problem = time.perf_counter(), ""
        try:
            found = difference(check)
        except Exception as error:
            found, problem = math.inf, f" {type(error).__name__}: {error}".splitlines()[0]
        right = found <= check.tolerance
        off += not right
        word, seconds = "ok" if right else "OFF", f"{time.perf_counter() - start:.1f} s"
        allowed = f"{check.tolerance:.0e} is allowed"
        print(f"{check.name:<38} {found:8.1e}  {allowed}  {word}  {seconds}{problem}", flush=True)
    print(f"{len(checks)} kernels, {off} of them off" if off else f"{len(checks)} kernels as on the CPU")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
