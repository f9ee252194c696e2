"""Environments: three compiled functions and their sizes."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.calls import Called
from evoopt.compiling.jit import is_compiled

Bounds = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Environment(Called):
    """An environment in which a network acts step by step until an episode ends.

    An environment holds no state. Each episode keeps its own in a vector, so that compiled code
    plays any number of episodes side by side. The built-in environments are in `evoopt.envs`.

    Parameters
    ----------
    reset : njit function
        ``reset(state, uniforms)`` writes the first state into an array of zeros. The uniform
        numbers from [0, 1) are the only randomness of an episode.
    observe : njit function
        ``observe(state, observation)`` writes the observation of a state, which is the input of the
        network.
    step : njit function
        ``step(state, action) -> (reward, done)`` changes the state in place. A discrete action is
        an int; continuous actions are a vector (n_actions,) within their bounds.
    state_size, observation_size : int
        The lengths of a state and of an observation.
    actions : int or (low, high)
        The number of discrete actions, or the bounds of continuous ones, each a number or one
        number for each action. Both bounds of an action are finite, or both infinite.
    uniforms : int
        The number of uniform numbers that `reset` gets.
    max_steps : int
        The largest number of steps of an episode, unless the task sets another.
    name : str
        The name in reprs.

    Attributes
    ----------
    discrete : bool
        Whether actions are discrete.
    n_actions : int
        The number of discrete actions, or the length of a vector of continuous ones. A network has
        as many outputs.
    low, high : tuple of float
        The bounds of continuous actions (n_actions,); empty for discrete ones.

    Raises
    ------
    ValueError
        If a function is not compiled, a size is not a whole number, or the actions are neither a
        number of at least 2 nor bounds with low < high.

    Notes
    -----
    All arrays are 1-d, float64 and C-contiguous. The functions are called a million times a second,
    so they should use scalars and elements of the arrays, and allocate nothing. Compiled code does
    not check the bounds of arrays, so `Rollout` first plays some steps in plain Python.

    A network's outputs become actions as follows. A discrete action is the number of the largest
    output, the first one in a tie. A continuous action is ``(low + high) / 2 + (high - low) / 2 *
    clip(output, -1, 1)`` if it has bounds, and otherwise the output itself.

    Examples
    --------
    A point on a line that should move to the origin:

    >>> import numba
    >>> import evoopt
    >>> @numba.njit
    ... def reset(state, uniforms):
    ...     state[0] = 2 * uniforms[0] - 1
    >>> @numba.njit
    ... def observe(state, observation):
    ...     observation[0] = state[0]
    >>> @numba.njit
    ... def step(state, action):
    ...     state[0] += 0.1 * action[0]
    ...     return -abs(state[0]), abs(state[0]) > 2
    >>> env = evoopt.Environment(
    ...     reset, observe, step, state_size=1, observation_size=1, actions=(-1, 1), uniforms=1,
    ...     max_steps=50,
    ... )
    >>> env.discrete, env.n_actions, env.low, env.high
    (False, 1, (-1.0,), (1.0,))
    >>> state = np.zeros(1)
    >>> print(*env.step(state, np.array([0.5])))
    -0.05 False
    >>> evoopt.envs.pendulum  # doctest: +NORMALIZE_WHITESPACE
    Environment('pendulum', state_size=2, observation_size=3, n_actions=1, discrete=False,
                max_steps=200)
    """

    reset: Callable[..., None]
    observe: Callable[..., None]
    step: Callable[..., tuple[float, bool]]
    _: KW_ONLY
    state_size: int
    observation_size: int
    actions: int | tuple[Any, Any]
    uniforms: int
    max_steps: int
    name: str = field(default="unnamed", compare=False)

    def __post_init__(self) -> None:
        for name in ("reset", "observe", "step"):
            function = getattr(self, name)
            if not is_compiled(function):
                raise ValueError(
                    f"The functions of an environment must be decorated with numba.njit, got {function!r} "
                    f"for {name}."
                )
        for name, least in (("state_size", 1), ("observation_size", 1), ("uniforms", 0)):
            size = arguments.whole(name, getattr(self, name), least)
            object.__setattr__(self, name, *arguments.possible_shape(name, [size]))
        object.__setattr__(self, "max_steps", arguments.whole("max_steps", self.max_steps, 1))
        object.__setattr__(self, "actions", _read_actions(self.actions))
        if not isinstance(self.name, str):
            raise ValueError(f'name must be a word such as "cartpole", got {shown(self.name)}.')

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, state_size={self.state_size}, "
            f"observation_size={self.observation_size}, n_actions={self.n_actions}, "
            f"discrete={self.discrete}, max_steps={self.max_steps})"
        )

    @property
    def discrete(self) -> bool:
        return isinstance(self.actions, int)

    @property
    def n_actions(self) -> int:
        return self.actions if isinstance(self.actions, int) else len(self.low)

    @property
    def low(self) -> tuple[float, ...]:
        return () if isinstance(self.actions, int) else self.actions[0]

    @property
    def high(self) -> tuple[float, ...]:
        return () if isinstance(self.actions, int) else self.actions[1]


def _read_actions(actions: int | tuple[ArrayLike, ArrayLike]) -> int | Bounds:
    """Read a number of discrete actions, or the bounds of continuous ones."""
    if isinstance(actions, int | np.integer):
        name = "The number of discrete actions"
        (number,) = arguments.possible_shape(name, [arguments.whole(name, actions, 2)])
        return number
    try:
        first, second = actions
        ends = (np.atleast_1d(arrays.read("actions", end)).astype(np.float64) for end in (first, second))
        low, high = np.broadcast_arrays(*ends)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "actions must be a number of discrete actions, or a pair (low, high) of the bounds of "
            f"continuous ones, got {actions!r}."
        ) from error
    if low.ndim != 1 or not len(low) or not (low < high).all():
        raise ValueError(
            f"Bounds of actions must have low < high, each one number or of shape (n_actions,), got "
            f"{actions!r}."
        )
    if (np.isinf(low) != np.isinf(high)).any():
        raise ValueError(f"Both bounds of an action must be finite, or both infinite, got {actions!r}.")
    return tuple(low.tolist()), tuple(high.tolist())
