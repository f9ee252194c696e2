"""Episodes in Gymnasium environments: each step is one forward pass of the population."""

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evoopt.devices.interface.rollout import Episodes
from evoopt.networks.base import BaseNetwork
from evoopt.rules.ranges import ceil_div, normalized_arrays
from evoopt.tasks.spaces import Actions, Observations
from evoopt.tasks.statistics import Statistics, is_usable
from evoopt.tasks.stepping import Stepped
from evoopt.types import Array


class Pool(Protocol):
    """A pool of environments, in this process or in worker processes; see `Environments`."""

    def make(self, n: int) -> None: ...
    def reset(self, seeds: Array) -> Array: ...
    def step(self, numbers: Array, actions: Array) -> Stepped: ...


@dataclass(frozen=True)
class Setting:
    """The setting of episodes; a batch has at most `max_environments` of them."""

    net: BaseNetwork
    observations: Observations
    actions: Actions
    max_steps: int | None
    max_environments: int


def play(
    setting: Setting, pool: Pool, population: Array, seeds: Array, statistics: Statistics | None
) -> tuple[Episodes, Array]:
    """Play episodes of seeds (popsize, episodes); return also sums of their observations.

    The sums (3, size), of observation - mean, its squares and ones, are for the statistics.
    """
    played = Episodes(np.empty(seeds.shape), np.empty(seeds.shape, np.int64))
    sums = np.zeros((3, 0 if statistics is None else len(statistics.mean)))
    popsize, episodes = seeds.shape
    columns = min(episodes, setting.max_environments)
    rows = setting.max_environments // columns
    for row, column in itertools.product(range(0, popsize, rows), range(0, episodes, columns)):
        part = slice(row, row + rows), slice(column, column + columns)
        batch = Batch(setting, population[part[0]], seeds[part], episodes, statistics)
        batch.play(pool)
        for whole, found in zip(played, (batch.returns, batch.lengths), strict=True):
            whole[part] = found.reshape(seeds[part].shape)
        for each in batch.sums[is_usable(batch.sums)]:  # one by one: batches change no bit
            sums += each
    return played, sums


class Batch:
    """Episodes (rows, columns) that are played side by side.

    Attributes
    ----------
    returns, lengths : (rows * columns,)
    sums : (rows * columns, 3, size)
        The sums of each episode for the statistics; their size is 0 without statistics.
    """

    def __init__(
        self, setting: Setting, population: Array, seeds: Array, episodes: int, statistics: Statistics | None
    ) -> None:
        self._setting, self._statistics = setting, statistics
        self._population, self._seeds = population, seeds
        net, (rows, columns) = setting.net, seeds.shape
        width = _width(net, columns, episodes)
        self._observations = np.zeros((rows, width, *net.input_shape), population.dtype)
        self._state = net.initial_state(rows, width, population.dtype)
        self._running = np.zeros((rows, width), np.bool_)
        self._running[:, :columns] = True
        self._numbers = np.zeros((rows, width), np.int64)  # numbers of environments
        self._numbers[:, :columns] = np.arange(seeds.size).reshape(seeds.shape)
        self.returns, self.lengths = np.zeros(seeds.size), np.zeros(seeds.size, np.int64)
        self.sums = np.zeros((seeds.size, 3, 0 if statistics is None else len(statistics.mean)))

    def play(self, pool: Pool) -> None:
        """Play all episodes to their ends."""
        max_steps = self._setting.max_steps
        pool.make(self._seeds.size)
        found = pool.reset(self._seeds.reshape(-1))
        for _ in itertools.count() if max_steps is None else range(max_steps):
            self._see(found)
            outputs = self._think()
            if self._running.any():
                found = self._act(pool, outputs[self._running])
            if not self._running.any():
                break

    def _see(self, found: Array) -> None:
        """Store the observations of the running episodes, and add them to the sums."""
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow stays in its episode
            if self._statistics is not None:
                mean, std = self._statistics.mean, self._statistics.std
                seen = found.reshape(len(found), -1).astype(np.float64)
                off = seen - mean
                terms = np.stack([off, off * off, np.ones_like(off)], axis=1)
                self.sums[self._numbers[self._running]] += terms
                found = normalized_arrays(seen, mean, std)
            self._observations[self._running] = self._setting.observations.inputs(found)

    def _think(self) -> Array:
        """Run the networks; return outputs (rows, width, n). NaN ends an episode with NaN."""
        outputs, self._state = self._setting.net.forward(self._population, self._observations, self._state)
        outputs = outputs.reshape(*self._running.shape, -1)
        failed = np.isnan(outputs).any(axis=2) & self._running
        self.returns[self._numbers[failed]] = np.nan
        self._running &= ~failed
        return outputs

    def _act(self, pool: Pool, outputs: Array) -> Array:
        """Step running episodes by outputs (k, n); return observations of unfinished ones."""
        stepped = self._numbers[self._running]
        found, rewards, ended = pool.step(stepped, self._setting.actions(outputs))
        with np.errstate(over="ignore", invalid="ignore"):  # rewards may overflow
            self.returns[stepped] += rewards
        self.lengths[stepped] += 1
        self._running[self._running] = ~ended
        self._leave()
        return found[~ended]

    def _leave(self) -> None:
        """Halve the rows of the forward pass as often as half of them have no episode any more.

        Other libraries compile a function for each number of rows, and so there are few of them.
        """
        live, size = self._running.any(axis=1), len(self._running)
        needed = np.count_nonzero(live)
        while 0 < 2 * needed <= size:
            size = ceil_div(size, 2)
        if size < len(self._running):
            kept = np.sort(np.argsort(~live, kind="stable")[:size])
            self._population, self._observations = self._population[kept], self._observations[kept]
            self._state = self._state[kept]
            self._running, self._numbers = self._running[kept], self._numbers[kept]


def _width(net: BaseNetwork, columns: int, episodes: int) -> int:
    """Return the number of samples for some columns, so that the bits do not depend on batches.

    Networks sum up few samples and many in different orders. Only the first columns are played.
    """
    few = net.engine("cpu").description.few_samples
    return columns if (columns <= few) == (episodes <= few) else few + 1
