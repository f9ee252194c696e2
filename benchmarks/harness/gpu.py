"""The cases of a GPU: evoopt's kernels beside torch, JAX, evosax and EvoTorch on the same device.

All work waits for the device at its end. The limits of the device, bytes copied and multiply-adds
in float32, are measured in the same run, by events of the device.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, pairwise
from typing import Any

import numpy as np

import evoopt
from benchmarks.harness import cartpole, dense, digits, losses, machine
from benchmarks.harness.cartpole import Game, Player
from benchmarks.harness.dense import Problem
from benchmarks.harness.outcome import Limit
from benchmarks.harness.race import Case, Contestant, Rate, Work, mean_call, relative_error
from benchmarks.harness.trainers import Trainer, Units
from evoopt.devices.choose import population_engine

COPIED = 1 << 30  # bytes
PRODUCT = 8192  # rows and columns of the product that shows the peak
REPEATS = 10
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Limits:
    """An outcome: the limits of the device, measured in this run."""

    device: str
    bandwidth: float | None  # bytes a copy reads and writes a second; None without torch for CUDA
    flops: float | None  # float32
    agrees: bool = True

    def table(self) -> str:
        if self.bandwidth is None or self.flops is None:
            return f"{self.device}; its limits were not measured, for want of torch for CUDA."
        return (
            f"{self.device}: copies {self.bandwidth / 1e12:.3g} TB/s, sgemm {self.flops / 1e12:.3g} TFLOP/s"
        )

    def as_dict(self) -> dict[str, Any]:
        return {"name": "limits of the device"} | asdict(self)

    def reading(self, size: float) -> list[Limit]:
        """Return the limit of work that reads or writes so many bytes."""
        return [Limit("copy", size / self.bandwidth)] if self.bandwidth else []

    def multiplying(self, multiply_adds: float) -> list[Limit]:
        """Return the limit of so many multiply-adds."""
        return [Limit("sgemm", 2 * multiply_adds / self.flops)] if self.flops else []


def measure() -> Limits:
    """Measure a copy within the device and a product of large matrices, by the fastest of some."""
    from numba import cuda

    name = cuda.get_current_device().name
    device = name.decode() if isinstance(name, bytes) else str(name)
    if not machine.takes_part("torch"):
        return Limits(device, None, None)
    import torch

    if not torch.cuda.is_available():  # a torch for the CPU
        return Limits(device, None, None)
    torch.backends.cuda.matmul.allow_tf32 = False
    source = torch.zeros(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    seconds = _seconds(lambda: target.copy_(source))
    a = torch.randn(PRODUCT, PRODUCT, device="cuda")
    out = torch.empty_like(a)
    return Limits(device, 2 * COPIED / seconds, 2 * PRODUCT**3 / _seconds(lambda: torch.mm(a, a, out=out)))


def _seconds(work: Work) -> float:
    """Return the seconds of the fastest call of some work of torch, by events."""
    import torch

    times = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return min(times)


def _waiting(work: Work) -> Work:
    """Return work that waits for the device."""
    from numba import cuda

    def done() -> Any:
        result = work()
        cuda.synchronize()
        return result

    return done


def jax_on_gpu(prepare: Callable[..., Work], *args: Any, **options: Any) -> Work:
    """Prepare work of JAX; raise RuntimeError if JAX silently uses the CPU."""
    import jax

    if jax.default_backend() != "gpu":
        raise RuntimeError(f"JAX found no GPU, but {jax.default_backend()}")
    return prepare(*args, **options)


def _to_host(found: Any) -> Any:
    return found.cpu().numpy() if hasattr(found, "cpu") else np.asarray(found)


def _copy(array: Any) -> Any:
    from evoopt.kernels.cuda.runtime.stream import Stream

    return Stream().to_device(array, array.dtype)


# ---------------------------------------------------------------- networks


def own_inputs(measured: Limits) -> Case:
    """Return the case of many networks with one own sample each, limited by reading weights."""
    units, popsize = (8, 64, 64, 4), 65_536
    inputs = np.random.default_rng(1).standard_normal((popsize, 1, units[0]), np.float32)
    problem = Problem.of(units, popsize, inputs)
    checked = [0, popsize // 2, popsize - 1]
    expected = np.stack([dense.reference(problem, individual) for individual in checked])
    return Case(
        f"forward: {popsize:,} x {'-'.join(map(str, units))} x 1 own sample, float32",
        [
            Contestant("evoopt Network.forward", partial(evoopt_forward, problem), read=_to_host),
            Contestant("torch.baddbmm", partial(torch_forward, problem), ("torch",), _to_host),
            Contestant("torch.compile", partial(torch_forward, problem, compiled=True), ("torch",), _to_host),
            Contestant("jax jit(vmap)", partial(jax_on_gpu, dense.jax_vmap, problem), ("jax",)),
        ],
        lambda found: relative_error(found[checked], expected),
        TOLERANCE,
        Rate(1e-9 * problem.population.nbytes, "GB/s"),
        measured.reading(problem.population.nbytes),
    )


def evoopt_forward(problem: Problem) -> Work:
    net = evoopt.Network(problem.net.layers, problem.net.input_shape, device="cuda")
    population, inputs = _copy(problem.population), _copy(problem.inputs)
    out = net.forward(population, inputs)
    return _waiting(lambda: net.forward(population, inputs, out=out))


def torch_forward(problem: Problem, compiled: bool = False) -> Work:
    import torch

    forward = _torch_outputs(problem)
    forward = torch.compile(forward) if compiled else forward
    return _waiting(torch.inference_mode()(forward))


def _torch_outputs(problem: Problem) -> Callable[[], Any]:
    import torch

    rows, inputs = (torch.from_numpy(x).cuda() for x in (problem.population, problem.inputs))
    leaves = [rows[:, place].view(len(rows), *shape) for place, shape in dense.leaf_places(problem.net.spec)]
    values = inputs if problem.own else inputs.expand(len(rows), *inputs.shape)

    def outputs() -> Any:
        found = values
        for i in range(0, len(leaves), 2):
            found = torch.baddbmm(leaves[i][:, None], found.tanh() if i else found, leaves[i + 1])
        return found

    return outputs


def shared_inputs(units: Units, popsize: int, samples: int | None, measured: Limits) -> Case:
    """Return the case of cross-entropy on shared samples, which are digits, maybe repeated."""
    images, labels = digits.load()
    chosen = np.arange(samples or len(images)) % len(images)
    images, labels = images[chosen], labels[chosen]
    problem = Problem.of(units, popsize, images)
    checked = (0, popsize // 2, popsize - 1)
    expected = [losses.reference(dense.reference(problem, i), labels) for i in checked]
    multiply_adds = problem.samples * sum(n_in * n_out for n_in, n_out in pairwise(units))
    torch, jax = ("torch",), ("jax",)
    return Case(
        f"fitness: {popsize:,} x {'-'.join(map(str, units))} x {len(images):,} digits, float32",
        [
            Contestant("evoopt Supervised", partial(evoopt_fitness, problem, labels), read=_to_host),
            Contestant("torch.baddbmm", partial(torch_fitness, problem, labels), torch, _to_host),
            Contestant("torch.compile", partial(torch_fitness, problem, labels, True), torch, _to_host),
            Contestant("jax jit(vmap)", partial(jax_on_gpu, jax_fitness, problem, labels), jax),
        ],
        lambda found: relative_error(found[list(checked)], expected),
        TOLERANCE,
        Rate(2e-12 * multiply_adds, "TFLOP/s"),
        measured.multiplying(multiply_adds),
    )


def evoopt_fitness(problem: Problem, labels: Any) -> Work:
    task = evoopt.Supervised(problem.net, problem.inputs, labels, device="cuda")
    return _waiting(partial(task, _copy(problem.population)))


def torch_fitness(problem: Problem, labels: Any, compiled: bool = False) -> Work:
    import torch

    outputs, targets = _torch_outputs(problem), torch.from_numpy(labels).cuda()

    def fitness() -> Any:
        return losses.torch(outputs(), targets, 2)

    return _waiting(torch.inference_mode()(torch.compile(fitness) if compiled else fitness))


def jax_fitness(problem: Problem, labels: Any) -> Work:
    import jax

    outputs = dense.jax_outputs(problem.net.spec)
    rows, inputs, targets = map(jax.numpy.asarray, (problem.population, problem.inputs, labels))
    mapped = jax.jit(jax.vmap(lambda row: losses.jax(outputs(row, inputs), targets, classes=1)))
    return lambda: mapped(rows).block_until_ready()


# ---------------------------------------------------------------- noise, episodes, generations


def noise(
    shape: tuple[int, int], measured: Limits, jax_normal: Callable[[], Work], error: Any, tolerance: float
) -> Case:
    popsize, n = shape
    return Case(
        f"noise: {popsize} x {n:,} normal deviates, float32",
        [
            Contestant("evoopt, Philox", partial(evoopt_rows, shape), read=_to_host),
            Contestant("torch.randn(out=)", partial(torch_randn, shape), ("torch",), _to_host),
            Contestant("jax.random.normal, jit", partial(jax_on_gpu, jax_normal), ("jax",)),
        ],
        error,
        tolerance,
        Rate(1e-9 * popsize * n, "G/s"),
        measured.reading(4.0 * popsize * n),
    )


def evoopt_rows(shape: tuple[int, int]) -> Work:
    engine, generations = population_engine("cuda", computes_there=True), count()
    out, mean, sigma = (
        engine.empty(shape, np.dtype(np.float32)),
        engine.vector(np.zeros(shape[1])),
        engine.vector(np.ones(shape[1])),
    )

    def work() -> Any:
        ids = np.arange(shape[0], dtype=np.uint64) + np.uint64(shape[0] * next(generations))
        engine.sample(np.uint64(0), ids, mean, sigma, out)
        return out

    return _waiting(work)


def torch_randn(shape: tuple[int, int]) -> Work:
    import torch

    out = torch.empty(shape, device="cuda")
    return _waiting(partial(torch.randn, shape, out=out))


def rollout(game: Game, expected: Any, tolerance: float) -> Case:
    popsize, episodes = game.shape
    units = "-".join(map(str, cartpole.UNITS))
    return Case(
        f"rollout: CartPole, {popsize:,} x {units} x {game.steps} steps, float32",
        [
            Contestant("evoopt Rollout", partial(evoopt_rollout, game), read=partial(_checked, expected)),
            Contestant(
                "gymnax, jit(vmap(scan))", partial(jax_on_gpu, cartpole.gymnax_scan, game), ("jax", "gymnax"),
                partial(_checked, expected),
            ),
        ],
        lambda found: float(np.mean(found != expected.mean(axis=1))),
        tolerance,
        Rate(1e-6 * popsize * episodes * game.steps, "M steps/s"),
        clock=lambda player, calls: mean_call(player, calls) * game.steps / player.steps,
    )  # fmt: skip


CHECKED = 50  # steps, as in benchmarks/rollout.py


def _checked(expected: Any, player: Player) -> Any:
    found = np.asarray(player.play(CHECKED))
    return found.mean(axis=1) if found.shape == expected.shape else found


def evoopt_rollout(game: Game) -> Player:
    population, tasks = _copy(game.population), {}

    def play(steps: int) -> Any:
        if steps not in tasks:
            task = evoopt.Rollout(
                dense.network(cartpole.UNITS), cartpole.ENVIRONMENT, len(game.first), steps, device="cuda"
            )
            tasks[steps] = _waiting(partial(task, population))
        return tasks[steps]()

    return Player(play, game.steps)


def trainer(
    cls: type[evoopt.Strategy], units: Units, samples: Any, popsize: int, seed: int, **options: Any
) -> Trainer:
    """Return the trainer of evoopt with everything on the device, as in `evolve`."""
    net = dense.network(units)
    task = evoopt.Supervised(net, *samples, device="cuda")
    es = cls(net.init(seed), popsize=popsize, seed=seed, device="cuda", **options)
    rows = es.ask()
    es.tell(rows, task(rows))

    def step() -> None:
        es.tell(es.ask(rows), task(rows))

    return Trainer(_waiting(step), lambda: es.solution)


def evotorch_snes(
    units: Units, samples: Any, popsize: int, seed: int, *, stdev_init: float, center_learning_rate: float
) -> Trainer:
    """Return a trainer with the whole population in one product for each layer."""
    import torch
    from evotorch import Problem as SearchProblem
    from evotorch.algorithms import SNES

    net = dense.network(units)
    places = dense.leaf_places(net.spec)
    inputs, labels = (torch.from_numpy(x).cuda() for x in samples)

    @torch.inference_mode()
    def fitness(rows: Any) -> Any:
        values = inputs.expand(len(rows), *inputs.shape)
        leaves = [rows[:, place].view(len(rows), *shape) for place, shape in places]
        for i in range(0, len(leaves), 2):
            values = torch.baddbmm(leaves[i][:, None], values.tanh() if i else values, leaves[i + 1])
        return losses.torch(values, labels, 2)

    problem = SearchProblem(
        "min", fitness, solution_length=net.spec.size, vectorized=True, device="cuda", seed=seed,
        initial_bounds=(-1, 1),
    )  # fmt: skip
    search = SNES(
        problem, stdev_init=stdev_init, center_learning_rate=center_learning_rate, popsize=popsize,
        center_init=torch.from_numpy(net.init(seed)).cuda(), distributed=False,
    )  # fmt: skip
    return Trainer(_waiting(search.step), lambda: search.status["center"].cpu().numpy())
