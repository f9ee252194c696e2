"""A user's script whose mistakes type checkers must see, and nothing else."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import evoopt


def sphere(x: NDArray[np.float64]) -> float:
    return float(x @ x)


def of_rows(population: NDArray[np.float64]) -> NDArray[np.float64]:
    fitness: NDArray[np.float64] = (population**2).sum(axis=1)
    return fitness


# ---------------------------------------------------------------- right

es = evoopt.CMAES([1.0, 2.0], 0.5, popsize=8, bounds=[(-5, 5), (None, 5)], seed=1, tolx=1e-9, maxiter=100)
result = evoopt.evolve(es, of_rows, max_generations=3)
x: NDArray[np.float64] = result.x
fun: float = result.fun
evoopt.evolve(es, evoopt.Objective(sphere), max_generations=4)
found = evoopt.minimize(sphere, [1.0, 2.0], method="cmaes", bounds=(-5, 5), options={"maxfun": 50})
assert_type(found.nfev, int)
evoopt.minimize(sphere, [1.0, 2.0], method=evoopt.SNES, options={"maxfun": 50})
net = evoopt.Network([evoopt.Dense(2, "tanh"), evoopt.Dense(2)], input_shape=(4,))
inputs = np.ones((6, 4), np.float32)
task = evoopt.Supervised(net, inputs, np.arange(6) % 2, loss="cross_entropy")
pairs = evoopt.PGPE(net.init(seed=0), 0.1, popsize=8, momentum=0.8, learning_rate=0.1, seed=1, noisy=True)
evoopt.evolve(pairs, task, max_generations=2)
evoopt.OpenAIES([0.0], 1.0, optimizer="sgd", sigma_decay=0.9)
evoopt.GA([0.0, 1.0], 1.0, crossover=None, selection="truncation", parents=3)
evoopt.SNES([0.0], 1.0).tell([[1.0], [2.0]], [1.0, 2.0])

evoopt.SNES([0.0] * 2, 1.0, bounds=[[-5, 5], [0, 1]], popsize=np.int64(6), target=np.float32(0.1))
evoopt.minimize(sphere, [1.0, 2.0], method="CMAES", bounds=[-5, 5], options={"maxfun": 50})
evoopt.IPOP(evoopt.CMAES([1.0, 2.0], 0.5, bounds=(np.float32(-5), np.float32(5))), max_restarts=2)

space = evoopt.Space(rate=evoopt.Real(1e-5, 0.1, log=True), group={"n": evoopt.Integer(1, 8)})
evoopt.Space(c=evoopt.Choice("a", 1, None)).decode([2])
reals = evoopt.Space(x=evoopt.Real(0, 1), y=evoopt.Real(0, 360, periodic=True))
evoopt.CMAES(reals, x0={"x": 0.5, "y": 90}, sigma={"x": 0.1, "y": 30}, seed=1)
evoopt.IPOP(evoopt.SNES(reals), start=lambda generator: {"x": 0.5, "y": generator.uniform(0, 360)})
named = evoopt.minimize(lambda values: float(values["x"]), reals, x0={"x": 0.5, "y": 9})
assert_type(named.params["x"], Any)
evoopt.minimize(lambda values: float(values["x"]), reals, [0.5, 9.0], method="snes")

# ---------------------------------------------------------------- wrong


def mistakes() -> None:
    evoopt.CMAES([0.0], 1.0, popsiz=3)  # wrong
    evoopt.SNES([0.0], 1.0, popsize="3")  # wrong
    evoopt.GA([0.0], 1.0, tolerance=3)  # wrong
    evoopt.PGPE([0.0], 1.0, momentun=0.5)  # wrong
    evoopt.OpenAIES([0.0], 1.0, beta_1=0.5)  # wrong
    evoopt.OpenAIES([0.0], 1.0, optimizer="adamw")  # wrong
    evoopt.XNES([0.0], 1.0, device="gpu")  # wrong
    evoopt.SepCMAES([0.0], 1.0, bounds=5)  # wrong
    evoopt.GA([0.0], 1.0, selection="roulette")  # wrong
    evoopt.Dense(2, "tahn")  # wrong
    evoopt.Dense(2, kernel_init="glorot")  # wrong
    evoopt.RNN(2, "gelu")  # wrong
    evoopt.Conv2D(2, 3, padding="full")  # wrong
    evoopt.Supervised(net, inputs, np.arange(6) % 2, loss="croSS")  # wrong
    evoopt.Rollout(net, evoopt.envs.cartpole, new_episodes="always")  # wrong
    evoopt.minimize(sphere, [1.0], method="bogus")  # wrong
    evoopt.minimize(sphere, [1.0], bound=(0, 1))  # wrong
    evoopt.evolve(es, sphere)  # wrong
    evoopt.evolve(es, of_rows, max_generation=3)  # wrong
    evoopt.IPOP(evoopt.CMAES, [0.0], 1.0)  # wrong
    evoopt.BIPOP(evoopt.CMAES([0.0], 1.0), seed=1)  # wrong
    evoopt.Real(0, 1, logarithmic=True)  # wrong
    evoopt.Integer(0, 1.5)  # wrong
    evoopt.Choice([1, 2])  # wrong
    evoopt.Space(x=3)  # wrong
    evoopt.minimize(sphere, reals, bounds=(0, 1))  # wrong
    text: str = result.x  # wrong
    print(text)
