"""Gymnasium environments that are reset and stepped together, and their results."""

import inspect
from collections.abc import Mapping, MutableSequence
from typing import Any

import numpy as np

from evoopt import arguments, arrays
from evoopt.tasks.making import Maker, layers_of
from evoopt.tasks.spaces import Observations
from evoopt.types import Array

Stepped = tuple[Array, Array, Array]  # observations (k, ...), rewards (k,), whether the episodes ended (k,)
STEP = "(observation, reward, terminated, truncated, info)"


class Environments:
    """Environments of one process, numbered from 0.

    Parameters
    ----------
    make : Maker
    observations : Observations
    finished : mutable sequence of one int, optional
        A counter of finished calls of reset and step.
    """

    def __init__(
        self, make: Maker, observations: Observations, finished: MutableSequence[int] | None = None
    ) -> None:
        self._make, self._observations, self._about = make, observations, observations.about
        self._finished = [0] if finished is None else finished
        self._environments: list[Any] = []

    def make(self, n: int) -> None:
        """Make environments until there are `n`."""
        while len(self._environments) < n:
            self._environments.append(self._make())

    def reset(self, seeds: Array) -> Array:
        """Begin an episode in the first environments, one for each seed; return observations."""
        pairs = zip(self._environments, seeds.tolist(), strict=False)
        return self._observations.read([self._reset(environment, seed) for environment, seed in pairs])

    def step(self, numbers: Array, actions: Array) -> Stepped:
        """Step the environments of these numbers (k,), each by its own action."""
        found = []
        rewards, ended = np.empty(len(numbers)), np.empty(len(numbers), np.bool_)
        discrete = actions.ndim == 1 and actions.dtype.kind == "i"
        each = actions.tolist() if discrete else actions  # Gymnasium's checks of NumPy's integers are slow
        for i, (number, action) in enumerate(zip(numbers.tolist(), each, strict=True)):
            observation, rewards[i], ended[i] = self._step(self._environments[number], action)
            found.append(observation)
        if np.isnan(rewards).any():
            raise ValueError(f"A reward of {self._about} must be a number, got NaN; return a low one.")
        return self._observations.read(found), rewards, ended

    def close(self) -> None:
        """Close all environments."""
        while self._environments:
            self._environments.pop().close()

    def _reset(self, environment: Any, seed: int) -> Any:
        """Begin an episode; return its first observation."""
        try:
            answer = environment.reset(seed=seed)
        except TypeError as error:
            self._explain_reset(environment, error)
            raise
        self._finished[0] += 1
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], Mapping):
            raise ValueError(
                f"reset of {self._about} must return (observation, info), a tuple that ends with a dict, got "
                f"{_kind(answer)}; return the observation and {{}}."
            )
        return answer[0]

    def _step(self, environment: Any, action: Any) -> tuple[Any, float, bool]:
        """Make a step; return the observation, the reward, and whether the episode ended."""
        answer = environment.step(action)
        self._finished[0] += 1
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise self._wrong_step(answer)
        observation, reward, terminated, truncated, _ = answer
        if type(reward) is not float:
            reward = self._read_reward(reward)
        if type(terminated) is not bool or type(truncated) is not bool:
            terminated = self._read_end("terminated", terminated)
            truncated = self._read_end("truncated", truncated)
        return observation, reward, terminated or truncated

    def _explain_reset(self, environment: object, error: TypeError) -> None:
        """Raise ValueError if a `reset` does not take the keywords that it is called with."""
        keywords = {"seed": 0}
        for layer in layers_of(environment):
            try:
                inspect.signature(layer.reset).bind(**keywords)
            except TypeError:
                raise ValueError(
                    f"reset of {self._about} must take {' and '.join(keywords)}, got the parameters "
                    f"{inspect.signature(layer.reset)} of {type(layer).__name__}; write it as "
                    "reset(self, *, seed=None, options=None)."
                ) from error
            keywords = {"seed": 0, "options": 0}  # wrappers pass both on

    def _wrong_step(self, answer: object) -> ValueError:
        old = isinstance(answer, tuple) and len(answer) == 4
        advice = "the done of older environments is terminated or truncated" if old else f"return {STEP}"
        return ValueError(
            f"step of {self._about} must return a tuple of five, {STEP}, got {_kind(answer)}; {advice}."
        )

    def _read_reward(self, reward: object) -> float:
        if isinstance(reward, float | int | np.floating | np.integer):
            return float(reward)
        number = arrays.read(f"A reward of {self._about}", reward)
        if number.shape != ():
            raise ValueError(
                f"A reward of {self._about} must be one number, got an array of shape {number.shape}; "
                "return an element of it, for example float(reward[0])."
            )
        return float(number)

    def _read_end(self, name: str, value: Any) -> bool:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        single = getattr(value, "shape", None) == ()
        return arguments.flag(f"{name} of {self._about}", value.item() if single else value)


def _kind(answer: object) -> str:
    return f"a tuple of {len(answer)}" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
