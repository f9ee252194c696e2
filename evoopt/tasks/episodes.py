"""Shared parts of tasks that play episodes: their random numbers, and spans of actions."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.memory import require_memory
from evoopt.types import Vector

NewEpisodes = Literal["generation", "row", "never"]
TRAINING, EVALUATION = 0, 1  # the purposes of episodes


def read_new_episodes(value: object) -> NewEpisodes:
    """Read the option of tasks that says which generations and rows play new episodes."""
    result: NewEpisodes = arguments.one_of("new_episodes", value, get_args(NewEpisodes))
    return result


def episode_uniforms(stream: tuple[int, int, int], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Draw the uniform numbers that start episodes, (rows, episodes, n)."""
    return np.random.default_rng(stream).random(shape)


def episode_seeds(stream: tuple[int, int, int], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """Draw the seeds of episodes (rows, episodes).

    More rows or episodes do not change the seeds of the others.
    """
    seed, *key = stream
    rows = [np.random.SeedSequence(seed, spawn_key=(*key, row)) for row in range(shape[0])]
    return np.array([row.generate_state(shape[1]) for row in rows], np.uint32).reshape(shape)


def require_room(rows: int, episodes: int, numbers: int = 0) -> None:
    """Raise ValueError unless memory has room for the results of `episodes` of each row.

    `numbers` counts other stored numbers for each episode, in all rows together.
    """
    needed, purpose = 8 * episodes * (2 * rows + numbers), f"{episodes:,} episodes of {rows:,} rows"
    require_memory("Playing", needed, purpose, "take fewer episodes")


def action_span(low: ArrayLike, high: ArrayLike) -> tuple[Vector, Vector]:
    """Return the middle and the half width of the bounds of actions; 0 and 0 without bounds."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    bounded = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(bounded, low, 0.0), np.where(bounded, high, 0.0)
    return low / 2 + high / 2, high / 2 - low / 2  # no finite ends overflow
