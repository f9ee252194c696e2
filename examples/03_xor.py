"""Evolve the 2-2-1 network that computes XOR, by a genetic algorithm and by CMA-ES.

The network has nine parameters, but many starts end in a local optimum with one wrong case. So a
run that stalls is started again from another seed.

Run: python examples/03_xor.py [--seeds 5]
"""

import argparse

import numpy as np

import evoopt

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([0, 1, 1, 0], np.float32)
RESTARTS = 5

net = evoopt.Network([evoopt.Dense(2, "relu"), evoopt.Dense(1, "sigmoid")], input_shape=(2,))
task = evoopt.Supervised(net, INPUTS, TARGETS, loss="mse")


def solved(x):
    """Return whether all four cases are right."""
    return bool(np.array_equal(net.predict(x, INPUTS)[:, 0] > 0.5, TARGETS > 0.5))


def make(strategy, seed):
    if strategy == "GA":
        return evoopt.GA(net.init(seed), sigma=1.0, popsize=100, seed=seed)
    return evoopt.CMAES(net.init(seed), sigma=1.0, popsize=20, seed=seed)


def solve(strategy, seed):
    """Return a solution and the number of restarts it took, or None and RESTARTS."""
    for restart in range(RESTARTS + 1):
        es = make(strategy, seed * (RESTARTS + 1) + restart)
        result = evoopt.evolve(es, task, max_generations=300, target=1e-3, patience=60)
        if solved(result.x):
            return result.x, restart
    return None, RESTARTS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    for strategy in ("GA", "CMAES"):
        runs = [solve(strategy, seed) for seed in range(seeds)]
        restarts = [restart for x, restart in runs if x is not None]
        print(f"{strategy}: solved from {len(restarts)} of {seeds} seeds, restarts {restarts}")
        x = next((x for x, _ in runs if x is not None), None)
        if x is not None:
            print("  outputs", net.predict(x, INPUTS)[:, 0].round(3))
            for layer, parameters in net.spec.unravel(x).items():
                for name, value in parameters.items():
                    print(f"  {layer}.{name} = {value.astype(float).round(2).tolist()}")


if __name__ == "__main__":
    main()
