"""CartPole swing-up with a 5-64-64-1 network, by evoopt, and by evosax with a copy in JAX.

A contestant is prepared once, and then starts a `Trainer` for each seed, so that only the first
compiles.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import evoopt
from benchmarks.harness import dense
from benchmarks.harness.trainers import Trainer

ENVIRONMENTS = {"easy": evoopt.envs.cartpole_swingup, "hard": evoopt.envs.cartpole_swingup_hard}
HIDDEN = 64

Start = Callable[[int], Trainer]


@dataclass(frozen=True)
class Setting:
    """The task of all contestants: `level` is easy or hard, `episodes` counts episodes of a row."""

    level: str
    popsize: int
    episodes: int
    steps: int
    threads: int

    @property
    def net(self) -> evoopt.Network:
        layers = [evoopt.Dense(units, "tanh") for units in (HIDDEN, HIDDEN, 1)]
        return evoopt.Network(layers, (ENVIRONMENTS[self.level].observation_size,))

    def task(self, seed: int) -> evoopt.Rollout:
        return evoopt.Rollout(self.net, ENVIRONMENTS[self.level], self.episodes, self.steps, seed=seed)


def evoopt_strategy(cls: type[evoopt.Strategy], setting: Setting, sigma: float, **options: Any) -> Start:
    def start(seed: int) -> Trainer:
        task = setting.task(seed)
        es = cls(
            setting.net.init(seed),
            sigma,
            popsize=setting.popsize,
            maximize=True,
            noisy=True,
            seed=seed,
            **options,
        )
        rows = np.empty((setting.popsize, es.mean.size), np.float32)
        return Trainer(lambda: es.tell(es.ask(rows), task(rows, es.generation)), lambda: es.solution)

    return start


# ---------------------------------------------------------------- evosax


def evosax_pgpe(setting: Setting, sigma: float, learning_rate: float) -> Start:
    import optax
    from evosax.algorithms import PGPE

    algorithm = PGPE(setting.popsize, np.zeros(setting.net.spec.size), optax.adam(learning_rate))
    return _evosax(algorithm, algorithm.default_params.replace(std_init=sigma), setting)


def evosax_open_es(setting: Setting, sigma: float, learning_rate: float) -> Start:
    import optax
    from evosax.algorithms import Open_ES

    algorithm = Open_ES(
        population_size=setting.popsize,
        solution=np.zeros(setting.net.spec.size),
        optimizer=optax.adam(learning_rate),
        std_schedule=optax.constant_schedule(sigma),
    )
    return _evosax(algorithm, algorithm.default_params, setting)


def _evosax(algorithm: Any, params: Any, setting: Setting) -> Start:
    """Return a start that splits rows over threads, as XLA runs small operations on one core."""
    import jax

    ask = jax.jit(lambda key, state: algorithm.ask(key, state, params))
    tell = jax.jit(lambda key, rows, fitness, state: algorithm.tell(key, rows, fitness, state, params)[0])
    play = jax.jit(jax.vmap(jax_return(setting.net, setting.steps), (0, None)))
    first = jax.jit(lambda key: jax_reset(setting.level, key, setting.episodes))
    pool = ThreadPoolExecutor(setting.threads)

    def returns(rows: Any, states: Any) -> Any:
        parts = np.array_split(np.asarray(rows), setting.threads)
        return np.concatenate([*pool.map(lambda part: np.asarray(play(part, states)), parts)])

    def start(seed: int) -> Trainer:
        key = jax.random.key(seed)
        state = algorithm.init(key, setting.net.init(seed), params)

        def step() -> None:
            nonlocal key, state
            key, asking, playing, telling = jax.random.split(key, 4)
            rows, state = ask(asking, state)
            state = tell(telling, rows, -returns(rows, first(playing)), state)
            state.mean.block_until_ready()

        return Trainer(step, lambda: np.asarray(state.mean))

    return start


# ---------------------------------------------------------------- JAX, states (episodes, 4)


def jax_reset(level: str, key: Any, episodes: int) -> Any:
    import jax

    if level == "easy":
        return 0.2 * jax.random.normal(key, (episodes, 4)) + np.float32([0, 0, math.pi, 0])
    scales = np.float32([2.4, 10, math.pi / 2, 10])
    return scales * jax.random.uniform(key, (episodes, 4), minval=-1) + np.float32([0, 0, math.pi, 0])


def jax_step(states: Any, actions: Any) -> tuple[Any, Any, Any]:
    """Return the next states, the rewards and `done` for actions (episodes,)."""
    import jax.numpy as jnp

    _, x_dot, theta, theta_dot = states.T
    s, c = jnp.sin(theta), jnp.cos(theta)
    force = 10 * jnp.clip(actions, -1, 1) - 0.1 * x_dot
    swing = 0.5 * 0.6 * theta_dot**2 * s
    x_acc = (4 * force - 2 * swing + 3 * 0.5 * 9.82 * s * c) / (4 - 3 * 0.5 * c**2)
    theta_acc = (6 * 9.82 * s + 6 * force * c - 3 * swing * c) / (0.6 * (4 - 3 * 0.5 * c**2))
    states = states + 0.01 * jnp.stack([x_dot, x_acc, theta_dot, theta_acc], 1)
    rewards = (jnp.cos(states[:, 2]) + 1) / 2 * jnp.cos(states[:, 0] / 2.4 * (math.pi / 2))
    return states, rewards, jnp.abs(states[:, 0]) > 2.4


def jax_return(net: evoopt.Network, steps: int) -> Callable[[Any, Any], Any]:
    """Return the function of a row and first states for the mean return, to be mapped over rows."""
    import jax
    import jax.numpy as jnp

    layers = dense.jax_layers(net.spec)

    def mean_return(row: Any, states: Any) -> Any:
        parameters = layers(row)

        def step(carry: Any, _: None) -> tuple[Any, None]:
            states, alive, earned = carry
            x, x_dot, theta, theta_dot = states.T
            observations = jnp.stack([x, x_dot, jnp.cos(theta), jnp.sin(theta), theta_dot], 1)
            actions = jnp.tanh(dense.jax_forward(parameters, observations))[:, 0]
            states, rewards, done = jax_step(states, actions)
            return (states, alive & ~done, earned + jnp.where(alive, rewards, 0)), None

        carry = states, jnp.ones(len(states), bool), jnp.zeros(len(states))
        return jax.lax.scan(step, carry, length=steps)[0][2].mean()

    return mean_return
