"""Policies: trained networks that map observations to actions."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt.networks.base import BaseNetwork
from evoopt.rules.ranges import normalized_arrays
from evoopt.tasks.statistics import Statistics
from evoopt.types import Array


class Policy:
    """A trained network that returns the action for one observation after the other.

    `Rollout.policy` and `GymnasiumTask.policy` make policies, which act as in training.

    Parameters
    ----------
    net : Network or FunctionNetwork
    params : nested dict, or vector (n_params,)
    read : function
        Returns the numbers of an observation, in any shape; raises ValueError for anything else.
    act : function
        Returns the action for outputs (1, *output_shape).
    statistics : Statistics, optional
        Statistics of the observations, which normalize them.

    Attributes
    ----------
    net : Network or FunctionNetwork
    params : vector (n_params,)
    mean, std : (observation_size,) or None
        The statistics that normalize observations.
    """

    def __init__(
        self,
        net: BaseNetwork,
        params: Mapping[str, Any] | ArrayLike,
        read: Callable[[Any], Array],
        act: Callable[[Array], Any],
        statistics: Statistics | None = None,
    ) -> None:
        self.net, self._read, self._act = net, read, act
        self.params = np.array(net.as_vector(params))
        self.mean = None if statistics is None else statistics.mean
        self.std = None if statistics is None else statistics.std
        self.reset()

    def reset(self) -> None:
        """Begin an episode: recurrent layers start from zeros."""
        self._state = self.net.initial_state(1, 1, self.params.dtype)[0]

    def __call__(self, observation: ArrayLike) -> Any:
        """Return the action for an observation: a number, or an array of several.

        Raises
        ------
        ValueError
            For an observation of another size.
        """
        seen = self._read(observation)
        if self.mean is not None and self.std is not None:
            seen = normalized_arrays(seen.reshape(-1), self.mean, self.std)
        inputs = seen.reshape(1, *self.net.input_shape)
        outputs, self._state = self.net.predict(self.params, inputs, self._state)
        return self._act(outputs)
