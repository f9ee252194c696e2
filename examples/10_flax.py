"""Evolve a recurrent model of Flax that balances a pole without seeing velocities.

`FunctionNetwork` runs the model on the whole population by `jax.vmap`, one step of all episodes
after the other. Its state is one array, which evoopt keeps through an episode.

Run: python examples/10_flax.py [--seed 0] [--generations 30]   (needs flax and gymnasium)
"""

import argparse

import flax.linen as nn
import gymnasium
import jax
import numpy as np

import evoopt

UNITS = 8


class Model(nn.Module):
    """A GRU whose outputs choose the action."""

    @nn.compact
    def __call__(self, state, inputs):
        state, hidden = nn.GRUCell(UNITS)(state, inputs)
        return nn.Dense(2)(hidden), state


class Places(gymnasium.ObservationWrapper):
    """CartPole with two of four observations: the place of the cart and the angle of the pole."""

    def __init__(self):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))

    def observation(self, observation):
        return observation[::2]


model = Model()
run = jax.jit(jax.vmap(model.apply))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generations", type=int, default=30)
    options = parser.parse_args()

    params = model.init(jax.random.key(options.seed), np.zeros(UNITS), np.zeros(2))
    spec = evoopt.ParamSpec.from_params(params)

    def forward(population, inputs, state):
        inputs = np.broadcast_to(inputs, (*state.shape[:2], 2))  # (popsize, batch, 2)
        return run(spec.unravel(population), state, inputs)

    net = evoopt.FunctionNetwork(forward, spec, (2,), (2,), initial_state=np.zeros(UNITS))
    task = evoopt.GymnasiumTask(Places, net, episodes=2, normalize=True, seed=options.seed)
    start = spec.ravel(params)
    es = evoopt.SNES(start, sigma=0.5, popsize=64, maximize=True, noisy=True, seed=options.seed)
    result = evoopt.evolve(es, task, max_generations=options.generations, progress=True)
    print(f"balances {task.evaluate(result.x, episodes=50)['return']:.0f} of 500 steps")


if __name__ == "__main__":
    main()
