"""The plan of rollouts: how many episodes a block plays, and where its weights are."""

from collections.abc import Sequence
from typing import NamedTuple

from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.networks.samples import room, widest
from evoopt.kernels.cuda.rollouts.episode import KernelGame
from evoopt.kernels.cuda.runtime.jit import SHARED_BYTES
from evoopt.kernels.cuda.runtime.sizes import block_size
from evoopt.rules.ranges import ceil_div

MOST_EPISODES = 8  # the most episodes of a block
CACHED_BYTES = 160 * 1024  # the most bytes of weights that are kept in shared memory


class Plan(NamedTuple):
    """The episodes of a row that a block plays, its threads, its parameters in shared memory."""

    episodes: int
    threads: int
    cached: int  # all parameters of a row, or none

    @property
    def shared(self) -> int:
        """The bytes of the parameters in shared memory."""
        return 4 * self.cached


def choose_plan(
    layers: Sequence[KernelLayer], n_params: int, game: KernelGame, total: int, most: int
) -> Plan | None:
    """Choose the plan with the most of a row's `total` episodes in a block.

    A block can have `most` bytes of shared memory. None if not even one episode fits.
    """
    for episodes in range(min(total, MOST_EPISODES), 0, -1):
        # a thread for each output of the widest layer, in whole warps
        outputs = episodes * max(layer.units for layer in layers)
        threads = block_size(max(32, min(256, 32 * ceil_div(outputs, 32))))
        shared = _shared_bytes(layers, game, episodes, threads)
        if shared <= SHARED_BYTES:
            fits = 4 * n_params <= min(CACHED_BYTES, most - shared)
            return Plan(episodes, threads, n_params if fits else 0)
    return None


def _shared_bytes(layers: Sequence[KernelLayer], game: KernelGame, episodes: int, threads: int) -> int:
    """Return the bytes of a block's shared memory, without the parameters."""
    numbers = 2 * episodes * widest(layers) + room(episodes, threads) + 1
    return 4 * numbers + 16 * (game.n_actions + game.observation_size + 1)
