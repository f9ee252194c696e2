"""CartPole episodes that never end, played by a population of networks: evoopt and its peers.

All episodes go on to the last step, wherever the pole and the cart are by then. A step earns 1 if
both are within CartPole's limits. All rows start from the first states of evoopt's task.
"""

import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import evoopt
from benchmarks.harness import dense
from benchmarks.harness.limits import Demand
from evoopt.compiling.jit import rule
from evoopt.rules.environments import cartpole

Array = NDArray[Any]

UNITS = (4, 32, 32, 2)
LOOP_SHARE = 10  # a Python loop over environments plays one step of so many
GYMNAX_NEEDS = "six, seaborn and pyyaml"  # needed on import, even if its installation does not ask for them


@rule  # the step that it replaces is a rule
def _endless(state, action):
    _, done = cartpole.step(state, action)
    return 0.0 if done else 1.0, False


ENVIRONMENT = replace(evoopt.envs.cartpole, step=_endless)


@dataclass(frozen=True)
class Game:
    """The episodes that all contestants play.

    Attributes
    ----------
    population : (popsize, n_params)
    first : (episodes, 4)
        The states that each row starts from.
    steps : int
        The steps of each episode.
    """

    population: Array
    first: Array
    steps: int

    @classmethod
    def of(cls, popsize: int, episodes: int, steps: int) -> "Game":
        population = dense.Problem.of(UNITS, popsize, np.empty((0, UNITS[0]))).population
        first = np.empty((episodes, ENVIRONMENT.state_size))
        draws = np.random.default_rng((0, 0, 0)).random((episodes, ENVIRONMENT.uniforms))
        for state, uniforms in zip(first, draws, strict=True):
            ENVIRONMENT.reset(state, uniforms)
        return cls(population, first, steps)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.population), len(self.first)

    def demand(self) -> Demand:
        """Return the work that the networks cannot avoid in one call."""
        outputs = self.steps * self.shape[0] * self.shape[1]
        multiply_adds = outputs * sum(n_in * n_out for n_in, n_out in pairwise(UNITS))
        return Demand(multiply_adds, {"tanh": outputs * sum(UNITS[1:-1])})


class Player:
    """The work of a contestant: ``play(steps)`` returns upright steps (popsize, episodes).

    A call plays `steps`.
    """

    def __init__(self, play: Callable[[int], Any], steps: int) -> None:
        self.play, self.steps = play, steps

    def __call__(self) -> "Player":
        self.play(self.steps)
        return self


def upright(states: Array) -> Array:
    """Return which of the states (n, 4) are within the limits."""
    within: Array = (np.abs(states[:, 0]) <= cartpole.X_LIMIT) & (
        np.abs(states[:, 2]) <= cartpole.THETA_LIMIT
    )
    return within


# ---------------------------------------------------------------- the definition


def reference(game: Game, steps: int) -> Array:
    """Play all episodes in float64."""
    problem = dense.Problem(UNITS, game.population, game.first)
    layers = problem.layers(game.population.astype(np.float64))
    *hidden, (bias, kernel) = [(bias[:, None], kernel) for bias, kernel in layers]
    states = np.tile(game.first, (len(game.population), 1, 1))  # (popsize, episodes, 4)
    count = np.zeros(game.shape)
    for _ in range(steps):
        values = states
        for hidden_bias, hidden_kernel in hidden:
            values = np.tanh(values @ hidden_kernel + hidden_bias)
        actions = (values @ kernel + bias).argmax(2)
        states = _step(states, actions)
        count += upright(states.reshape(-1, 4)).reshape(game.shape)
    return count


def _step(states: Array, actions: Array) -> Array:
    _, x_dot, theta, theta_dot = np.moveaxis(states, -1, 0)
    s, c = np.sin(theta), np.cos(theta)
    push = (np.where(actions == 1, 10.0, -10.0) + 0.05 * theta_dot**2 * s) / 1.1
    theta_acc = (9.8 * s - c * push) / (0.5 * (4 / 3 - 0.1 * c**2 / 1.1))
    x_acc = push - 0.05 * theta_acc * c / 1.1
    return states + 0.02 * np.stack([x_dot, x_acc, theta_dot, theta_acc], -1)


# ---------------------------------------------------------------- contestants


def evoopt_rollout(game: Game) -> Player:
    net = dense.network(UNITS)

    @cache
    def task(steps: int) -> evoopt.Rollout:
        return evoopt.Rollout(net, ENVIRONMENT, len(game.first), steps)

    return Player(lambda steps: task(steps).play(game.population).returns, game.steps)


def gymnax_scan(game: Game, threads: int = 1, sums: bool = False) -> Player:
    """Map a scan of steps over rows and episodes.

    XLA runs the small operations of a step on one core. With `threads` of Python, each calls it for
    a part of the population. With `sums`, products are written out, so that XLA fuses them with the
    next operations.
    """
    import jax
    import jax.numpy as jnp

    env, params = gymnax_cartpole()
    layers = dense.jax_layers(dense.network(UNITS).spec)
    product = _product_as_sum if sums else operator.matmul
    key = jax.random.key(0)  # a step asks for one, but nothing in it is random
    _, zero = env.reset_env(key, params)

    def episode(parameters: Any, first: Any, steps: int) -> Any:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            state, observation, count = carry
            action = jnp.argmax(dense.jax_forward(parameters, observation, product))
            observation, state, _, done, _ = env.step_env(key, state, action, params)
            return (state, observation, count + (1 - done)), None

        state = zero.replace(x=first[0], x_dot=first[1], theta=first[2], theta_dot=first[3])
        carry = state, env.get_obs(state), jnp.float32(0)
        return jax.lax.scan(step, carry, length=steps)[0][2]

    def episodes(row: Any, first: Any, steps: int) -> Any:
        parameters = layers(row)  # once for all steps
        if len(first) == 1:  # products with a vector are faster than with a matrix of one row
            return episode(parameters, first[0], steps)[None]
        return jax.vmap(episode, (None, 0, None))(parameters, first, steps)

    compiled = jax.jit(jax.vmap(episodes, (0, None, None)), static_argnums=2)
    first = jnp.asarray(game.first, jnp.float32)
    parts = [jnp.asarray(part) for part in np.array_split(game.population, threads)]
    if threads == 1:
        return Player(lambda steps: compiled(parts[0], first, steps).block_until_ready(), game.steps)
    pool = ThreadPoolExecutor(threads)

    def play(steps: int) -> Array:
        return np.concatenate([*pool.map(lambda part: np.asarray(compiled(part, first, steps)), parts)])

    return Player(play, game.steps)


def _product_as_sum(values: Any, kernel: Any) -> Any:
    return (values[:, None] * kernel).sum(0)


def gymnax_cartpole() -> tuple[Any, Any]:
    try:
        import gymnax
    except ImportError as error:
        raise ImportError(
            f"gymnax is installed, but its import fails ({error}); it also needs {GYMNAX_NEEDS}: "
            f"pip install {GYMNAX_NEEDS.replace(',', '').replace(' and', '')}."
        ) from error
    return gymnax.make("CartPole-v1")


def gymnasium_vector(game: Game) -> Player:
    """Step all episodes in arrays, by Gymnasium's own vector environment."""
    import gymnasium

    n = game.population.shape[0] * len(game.first)
    env = gymnasium.make_vec("CartPole-v1", num_envs=n, vectorization_mode="vector_entry_point").unwrapped
    env.x_threshold = env.theta_threshold_radians = env.max_episode_steps = np.inf

    def start() -> None:
        env.reset(seed=0)
        env.state = np.tile(game.first, (len(game.population), 1)).T.copy()

    return Player(_gymnasium_play(game, start, lambda actions: env.step(actions)[0]), game.steps)


def gymnasium_loop(game: Game) -> Player:
    """Step one environment after the other, without wrappers that check arguments.

    This loop is slow, so a call plays only some of the steps.
    """
    import gymnasium

    n = game.population.shape[0] * len(game.first)
    envs = [gymnasium.make("CartPole-v1").unwrapped for _ in range(n)]
    for env in envs:
        env.x_threshold = env.theta_threshold_radians = np.inf
        env.reset(seed=0)

    def start() -> None:
        for env, first in zip(envs, np.tile(game.first, (len(game.population), 1)), strict=True):
            env.state = first

    def step(actions: Array) -> Array:
        return np.stack([env.step(action)[0] for env, action in zip(envs, actions, strict=True)])

    return Player(_gymnasium_play(game, start, step), max(1, game.steps // LOOP_SHARE))


def _gymnasium_play(
    game: Game, start: Callable[[], None], step: Callable[[Array], Array]
) -> Callable[[int], Array]:
    """Let torch.baddbmm choose the actions of all episodes, once for each step."""
    observations = np.empty((*game.shape, 4), np.float32)  # the network reads them in place
    forward = dense.torch_baddbmm(dense.Problem(UNITS, game.population, observations))

    def play(steps: int) -> Array:
        start()
        observations[:] = game.first
        count = np.zeros(observations.shape[0] * observations.shape[1])
        for _ in range(steps):
            outputs = forward().numpy()
            states = step((outputs[..., 1] > outputs[..., 0]).ravel().astype(np.int64))
            observations.reshape(-1, 4)[:] = states
            count += upright(states)
        return count.reshape(game.shape)

    return play
