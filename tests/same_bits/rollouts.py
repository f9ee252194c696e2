"""Cases of environments: episodes of each, played in each way that `Rollout` has."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numba
import numpy as np

import evoopt

from . import public
from .case import Case, Results
from .networks import population

Layers = list[evoopt.Layer]
STEPS = 60
# The kernels share the work according to the network and the number of episodes.
NETWORKS: dict[str, Callable[[int], Layers]] = {  # networks by number of outputs
    "a small network": lambda n: [evoopt.Dense(8, "tanh"), evoopt.Dense(n)],
    "a large network": lambda n: [evoopt.Dense(140, "tanh"), evoopt.Dense(140, "relu"), evoopt.Dense(n)],
    "memory": lambda n: [evoopt.GRU(6), evoopt.Dense(n, "tanh")],
}
WAYS: dict[str, dict[str, Any]] = {
    "one episode": {},
    "three episodes": {"episodes": 3},
    "many episodes": {"episodes": 20},
    "normalized": {"episodes": 2, "normalize": True},
    "many, normalized": {"episodes": 20, "normalize": True},
}


@numba.njit
def reset(state, uniforms):
    state[0] = 2 * uniforms[0] - 1


@numba.njit
def observe(state, observation):
    observation[0] = state[0]
    observation[1] = state[0] * state[0]


@numba.njit
def step(state, action):
    state[0] += 0.1 * action[0]
    return -abs(state[0]), abs(state[0]) > 1.1


OWN = evoopt.Environment(
    reset, observe, step, state_size=1, observation_size=2, actions=(-1, 1), uniforms=1, max_steps=50
)


def cases() -> Iterator[Case]:
    """Make the cases of every environment."""
    for name, env in public.environments().items():
        for kind in NETWORKS:
            for way, options in WAYS.items():
                for dtype in ("float32", "float64") if "normalized" not in way else ("float32",):
                    run = partial(played, env, kind, options, dtype)
                    yield Case(f"{name}, {kind}, {way}, {dtype}", run)
        yield Case(f"{name}, policy", partial(policy, env))
    for kind in NETWORKS:
        for way in ("one episode", "many episodes"):
            yield Case(f"own environment, {kind}, {way}", partial(played, OWN, kind, WAYS[way], "float32"))
    cartpole = evoopt.envs.cartpole
    for word in public.words(lambda word: evoopt.Rollout(net_of(cartpole), cartpole, new_episodes=word)):
        options = {"episodes": 2, "new_episodes": word}
        run = partial(played, cartpole, "a small network", options, "float32")
        yield Case(f"cartpole, new episodes: {word}", run)
    yield Case("cartpole, frozen parameters", frozen)


def net_of(env: evoopt.Environment, kind: str = "a small network") -> evoopt.Network:
    """Return a network that acts in an environment."""
    return evoopt.Network(NETWORKS[kind](env.n_actions), (env.observation_size,))


def played(env: evoopt.Environment, kind: str, options: dict[str, Any], dtype: str) -> Results:
    """Play some generations with 37 rows, which leave some lanes empty."""
    net = net_of(env, kind)
    yield from _play(evoopt.Rollout(net, env, max_steps=STEPS, seed=2, **options), population(net, dtype, 37))


def _play(task: evoopt.Rollout, rows: Any) -> Results:
    for generation in range(3):
        yield f"generation {generation}", task.play(rows, generation)
        yield f"statistics {generation}", [task.observation_mean, task.observation_std, task.state()]
    yield "fitness", task(rows[:5], 3)
    yield "metrics", task.evaluate(rows[0], episodes=12, seed=1)
    yield "validation", task.evaluation(episodes=4)(rows[:3])


def policy(env: evoopt.Environment) -> Results:
    """Act on some observations, one after the other."""
    for kind in NETWORKS:
        net = net_of(env, kind)
        task = evoopt.Rollout(net, env, max_steps=STEPS, normalize=True)
        task(population(net, "float32"))
        act = task.policy(net.init(1))
        seen = np.random.default_rng(4).normal(size=(6, env.observation_size))
        yield kind, [act(observation) for observation in seen]


def frozen() -> Results:
    """Play with a network that has frozen parameters."""
    net = net_of(evoopt.envs.cartpole)
    net = net.freeze(net.init(1), "dense_1")
    for episodes in (1, 20):
        task = evoopt.Rollout(net, evoopt.envs.cartpole, episodes=episodes, max_steps=STEPS)
        yield f"{episodes} episodes", task.play(population(net, "float32", 20))
