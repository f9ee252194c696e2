"""Train a 64-32-10 network on 1,797 real handwritten digits by an evolution strategy.

The split is fixed: 60% for training, 20% for choosing the generation, 20% for one test at the end.

Run: python examples/04_digits.py [--seed 0]
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

import evoopt


def split():
    """Return (inputs, labels) of training, validation and test."""
    inputs, labels = load_digits(return_X_y=True)
    inputs = (inputs / 16).astype(np.float32)  # 8x8 pixels from 0 to 1
    order = np.random.default_rng(0).permutation(len(labels))
    parts = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    return [(inputs[part], labels[part]) for part in parts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed

    start = time.perf_counter()
    training, validation, test = split()
    net = evoopt.Network([evoopt.Dense(32, "tanh"), evoopt.Dense(10)], input_shape=(64,))
    task = evoopt.Supervised(net, *training, loss="cross_entropy")
    es = evoopt.SNES(net.init(seed), sigma=0.1, popsize=128, seed=seed)
    print(net)
    result = evoopt.evolve(
        es, task, max_generations=500, validation=evoopt.Supervised(net, *validation), progress=True
    )
    params = net.spec.unravel(result.x)  # {"dense_0": {"bias": ..., "kernel": ...}, "dense_1": {...}}, views
    accuracy = task.evaluate(params, *test)["accuracy"]
    seconds = time.perf_counter() - start
    print(f"test accuracy {accuracy:.3f} after {result.nit} generations, {seconds:.1f} s")


if __name__ == "__main__":
    main()
