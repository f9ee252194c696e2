"""Learn to balance a pole, CartPole-v1 of Gymnasium, and check it on 100 new episodes.

The whole population acts in one forward pass for each step. --workers spreads the environments over
processes; for this one, whose steps take microseconds, that gains little.

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
        """Whether the solution balances the pole to the end in 100 episodes, others than those below."""
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
