"""A rehearsal of an environment in plain Python.

Compiled functions read and write beyond the end of an array without an error; Python raises
IndexError.
"""

import functools
import inspect
import numbers
import random
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeGuard

import numba
import numpy as np

from evoopt.compiling.jit import COMPILER_ERRORS
from evoopt.compiling.remade import remade
from evoopt.tasks import envs
from evoopt.tasks.environment import Environment
from evoopt.types import Array

EPISODES = 4
STEPS = 8  # played with each action
SECONDS = 0.1  # a rehearsal of slow functions ends after this time
BUILT_IN = [env for env in vars(envs).values() if isinstance(env, Environment)]
CHECKED = numba.njit(boundscheck=True)
UNWRITTEN = -1.7320508e-300  # a number that no observation has
ARRAYS = {
    "reset": ("state", "uniforms"),
    "observe": ("state", "observation"),
    "step": ("state", "action"),
}


@functools.lru_cache(maxsize=256)
def rehearse(env: Environment) -> None:
    """Play some steps of an environment in plain Python, on arrays of exactly its sizes.

    A rehearsal takes some milliseconds, once for each environment that is not built in. Nothing is
    compiled unless Python raises.

    Raises
    ------
    ValueError
        If a function takes other arguments, uses an index outside an array, does not write all of
        an observation, does not return (reward, done), or raises whenever it is called.
    """
    if not any(replace(env, max_steps=known.max_steps) == known for known in BUILT_IN):
        with _random_numbers_kept(), np.errstate(all="ignore"):
            _Rehearsal(env).run()


class _EpisodeOverError(Exception):
    """The end of an episode, because a function raised or the time is up."""


class _Rehearsal:
    """One rehearsal of an environment, with a record of its functions' calls."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._python = {name: remade(getattr(env, name), lambda function: function) for name in ARRAYS}
        self._checked: dict[str, Any] = {}  # compiled functions that check bounds
        self._ran: set[str] = set()
        self._raised: dict[str, tuple[Exception, list[int | Array]]] = {}  # first errors, and their arguments
        self._deadline = time.perf_counter() + SECONDS

    def run(self) -> None:
        for name in ARRAYS:
            self._check_signature(name)
        draws = np.random.default_rng(0).random((EPISODES, self._env.uniforms))
        for uniforms in np.clip(2 * draws - 0.5, 0, np.nextafter(1, 0)):  # 0 and almost 1 are among them
            with suppress(_EpisodeOverError):
                self._play(uniforms)
        for name in self._raised.keys() - self._ran:
            self._refuse(name, *self._raised[name])

    def _check_signature(self, name: str) -> None:
        signature = inspect.signature(self._python[name])
        try:
            signature.bind(*ARRAYS[name])
        except TypeError as error:
            expected = f"({', '.join(ARRAYS[name])})"
            raise ValueError(f"{name} must take {expected}, got a function of {signature}.") from error

    def _play(self, uniforms: Array) -> None:
        """Play from one first state, with each action."""
        start = np.zeros(self._env.state_size)
        self._call("reset", start, uniforms)
        self._observe(start)
        for action in self._actions():
            with suppress(_EpisodeOverError):
                self._hold(start.copy(), action)

    def _actions(self) -> Iterator[int | Array]:
        """Yield all discrete actions, or the lowest, the middle and the highest continuous one."""
        if self._env.discrete:
            yield from range(self._env.n_actions)
        else:
            low, high = np.clip(self._env.low, -1e3, None), np.clip(self._env.high, None, 1e3)
            yield from (low, (low + high) / 2, high)

    def _hold(self, state: Array, action: int | Array) -> None:
        """Take the same action for some steps."""
        for _ in range(STEPS):
            result = self._call("step", state, action if isinstance(action, int) else action.copy())
            if not _is_reward_and_done(result):
                found = textwrap.shorten(repr(result), 100)
                raise ValueError(f"step must return a number and a bool, (reward, done), got {found}.")
            self._observe(state)
            if result[1]:
                return

    def _observe(self, state: Array) -> None:
        observation = np.full(self._env.observation_size, UNWRITTEN)
        self._call("observe", state, observation)
        missing = np.flatnonzero(observation == UNWRITTEN)
        if len(missing):
            raise ValueError(
                f"observe must write all {len(observation)} numbers of an observation, got none at "
                f"{', '.join(map(str, missing[:5]))}; write them, or make observation_size smaller."
            )

    def _call(self, name: str, *arguments: int | Array) -> object:
        if time.perf_counter() > self._deadline and self._ran == ARRAYS.keys():
            raise _EpisodeOverError
        before = [item if isinstance(item, int) else item.copy() for item in arguments]
        try:
            result: object = self._python[name](*arguments)
        except Exception as error:
            if isinstance(error, IndexError):
                self._refuse(name, error, before)
            self._raised.setdefault(name, (error, before))
            raise _EpisodeOverError from error
        self._ran.add(name)
        return result

    def _refuse(self, name: str, error: Exception, arguments: list[int | Array]) -> None:
        """Raise ValueError for a Python error, if compiled code with bounds checks raises too.

        Python alone is no proof: it raises for the logarithm of 0, its integers are unbounded, and
        it cannot call numba's intrinsics.
        """
        if name not in self._checked:
            self._checked[name] = remade(getattr(self._env, name), CHECKED)
        try:
            self._checked[name](*arguments)
        except Exception as found:
            shown = error if isinstance(found, (type(error), *COMPILER_ERRORS)) else found
            duty = "keep to its arrays" if isinstance(shown, IndexError) else "run without an exception"
            sizes = [
                f"{kind} of {len(item)}" if isinstance(item, np.ndarray) else f"{kind} {item}"
                for kind, item in zip(ARRAYS[name], arguments, strict=True)
            ]
            raise ValueError(
                f"{name} of an environment must {duty}, got {type(shown).__name__}: {str(shown).rstrip('.')} "
                f"({', '.join(sizes)}); correct the function, or the sizes of the environment."
            ) from shown


def _is_reward_and_done(result: object) -> TypeGuard[tuple[float, bool]]:
    """Return whether `step` returned a number and a bool, for which 0 and 1 are as good.

    Another number as `done` is mostly a reward, because the two were exchanged.
    """
    if not isinstance(result, tuple) or len(result) != 2:
        return False
    reward, done = result
    is_flag = isinstance(done, numbers.Integral | np.bool_) and done in (0, 1)
    return is_flag and isinstance(reward, numbers.Real | np.bool_)


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Restore the random states of Python and NumPy afterwards, because functions may draw."""
    python, legacy = random.getstate(), np.random.get_state(legacy=False)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
