"""Store a network in a few kilobytes: the mutations of a deep genetic algorithm, not weights.

A mutation is a function of the seed and a number, so the list of these numbers, the genome, is
enough to make the network. The population never exists as a whole: rows are made and evaluated in
chunks.

Run: python examples/07_deep_ga.py [--seed 0]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import evoopt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed

    start = time.perf_counter()
    inputs, labels = load_digits(return_X_y=True)
    inputs = (inputs / 16).astype(np.float32)  # 8x8 pixels from 0 to 1
    order = np.random.default_rng(0).permutation(len(labels))
    training, test = np.split(order, [int(0.8 * len(order))])
    net = evoopt.Network([evoopt.Dense(64, "tanh"), evoopt.Dense(10)], input_shape=(64,))
    task = evoopt.Supervised(net, inputs[training], labels[training], loss="cross_entropy")
    mean = net.init(seed)
    es = evoopt.DeepGA(mean, sigma=0.04, popsize=256, parents=5, sigma_decay=0.99, seed=seed)
    print(net)
    result = evoopt.evolve(es, task, max_generations=150, chunk_size=64, progress=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "genome.npy")
        np.save(path, es.genome())
        genome, size = np.load(path), path.stat().st_size
    # the same mean, sigma and seed make the weights again, here from the file
    weights = evoopt.DeepGA(mean, sigma=0.04, seed=seed).decode(genome)
    same = np.array_equal(weights, result.x)
    accuracy = task.evaluate(weights, inputs[test], labels[test])["accuracy"]
    print(f"genome of {len(genome)} mutations, {size:,} bytes for {weights.nbytes:,}: the same bits: {same}")
    print(f"test accuracy {accuracy:.3f}, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
