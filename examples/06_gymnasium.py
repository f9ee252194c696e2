"""Train a network to balance the pole of Gymnasium's CartPole-v1; test it on 100 new episodes.

In each step the whole population acts by one forward pass. --workers spreads the environments over
processes, which gains little here, because a step takes microseconds.

Run: python examples/06_gymnasium.py [--seed 0] [--workers 1]
"""

import argparse
import time

import numpy as np

import evoopt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()

    start = time.perf_counter()
    net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    start_mean = np.zeros(net.spec.size, np.float32)
    es = evoopt.SNES(start_mean, sigma=0.5, popsize=64, maximize=True, noisy=True, seed=options.seed)

    def solved(strategy):
        """Return whether the solution balances the pole in 100 episodes that are not used below."""
        tried = task.evaluate(strategy.solution, episodes=100, seed=options.seed + 1)["return"]
        median = strategy.history["median"][-1]
        print(f"generation {strategy.generation}: median return {median:.0f}, the solution's {tried:.0f}")
        return tried == 500

    with evoopt.GymnasiumTask(
        "CartPole-v1", net, episodes=2, num_workers=options.workers, seed=options.seed
    ) as task:
        result = evoopt.evolve(es, task, max_generations=30, callback=solved)
        measured = task.evaluate(result.x, episodes=100)
    seconds = time.perf_counter() - start
    print(f"return {measured['return']:.0f} over 100 episodes, {result.nit} generations, {seconds:.1f} s")
    for name, value in net.spec.unravel(result.x)["dense_0"].items():
        print(f"  {name} = {value.astype(float).round(2).tolist()}")


if __name__ == "__main__":
    main()
