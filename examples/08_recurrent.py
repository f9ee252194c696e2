"""Learn a task that needs memory: balance a pole from positions, without velocities.

A network without memory cannot tell a falling pole from a rising one. A recurrent network can,
because it compares the position with earlier ones.

Run: python examples/08_recurrent.py [--seed 0]
"""

import argparse
import dataclasses
import time

import numba

import evoopt


@numba.njit
def observe_positions(state, observation):
    """Write the cart's position and the pole's angle, but not their velocities."""
    observation[0], observation[1] = state[0], state[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed

    env = dataclasses.replace(evoopt.envs.cartpole, observe=observe_positions, observation_size=2)
    for name, layer in (("without memory", evoopt.Dense(8, "tanh")), ("with a GRU", evoopt.GRU(8))):
        net = evoopt.Network([layer, evoopt.Dense(2)], input_shape=(2,))
        task = evoopt.Rollout(net, env, episodes=4, normalize=True)
        es = evoopt.SNES(net.init(seed), sigma=0.5, popsize=64, maximize=True, noisy=True, seed=seed)
        start = time.perf_counter()
        result = evoopt.evolve(es, task, max_generations=100)
        steps = task.evaluate(result.x, episodes=100)["length"]
        print(f"{name}: balances {steps:.0f} of 500 steps ({time.perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    main()
