"""Ask and tell with your own evaluation; save a strategy, and resume it bit for bit.

Run: python examples/02_ask_tell.py
"""

import tempfile
from pathlib import Path

import numpy as np

import evoopt


def rosenbrock(x):
    """Return Rosenbrock's function: a long bent valley, the minimum is 0 at (1, ..., 1)."""
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def generation(es):
    population = es.ask()  # (popsize, n_params), yours to keep
    es.tell(population, [rosenbrock(x) for x in population])


def main():
    es = evoopt.CMAES(mean=np.zeros(8), sigma=0.5, seed=1)
    for _ in range(50):
        generation(es)

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run.npz"
        es.save(checkpoint)
        resumed = evoopt.load(checkpoint)

    while not es.stop():  # a tuple of reasons, at first empty
        generation(es)
    while not resumed.stop():
        generation(resumed)

    print(es.stop())
    print(f"f = {es.best.fitness:.2e} at {es.best.x.round(4)} after {es.evaluations} evaluations")
    print("the resumed run has the same bits:", np.array_equal(es.best.x, resumed.best.x))


if __name__ == "__main__":
    main()
