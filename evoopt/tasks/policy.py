"""A trained network as what it was trained for: from observation to action."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.arrays import Array
from evoopt.kernels.cpu.rollout import FARTHEST
from evoopt.networks.network import Network
from evoopt.tasks.environment import Environment
from evoopt.tasks.episodes import action_span, spanned


class Policy:
    """A solution that acts: one observation after the other, as in training; see `Rollout.policy`.

    Attributes
    ----------
    net : Network
    params : vector (n_params,)
    mean, std : (observation_size,) or None
        What observations are normalised with.
    """

    def __init__(
        self,
        net: Network,
        env: Environment,
        params: Mapping[str, Any] | ArrayLike,
        mean: Array | None = None,
        std: Array | None = None,
    ) -> None:
        self.net, self._env = net, env
        self.params = np.array(net.as_vector(params))
        self.mean, self.std = mean, std
        self.reset()

    def reset(self) -> None:
        """Begin an episode: recurrent layers start from zeros."""
        self._state = self.net.initial_state(1, 1, self.params.dtype)[0]

    def __call__(self, observation: ArrayLike) -> int | Array:
        """Give the action for an observation (observation_size,): a number, or a vector (n_actions,).

        Raises
        ------
        ValueError
            For an observation of another size.
        """
        seen = arrays.read("observation", observation).astype(np.float64).reshape(-1)
        if len(seen) != self._env.observation_size:
            raise ValueError(
                f"An observation of {self._env.observation_size} numbers was expected, but {len(seen)} came."
            )
        if self.mean is not None and self.std is not None:
            seen = np.clip((seen - self.mean) / self.std, -FARTHEST, FARTHEST)
        inputs = seen.reshape(1, *self.net.input_shape)
        outputs, self._state = self.net.predict(self.params, inputs, self._state)
        if self._env.discrete:
            return int(outputs.argmax())
        return spanned(outputs.reshape(-1), *action_span(self._env.low, self._env.high))
