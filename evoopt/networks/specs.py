"""The ParamSpec of a network: which of its parameters evolve, and the values of the others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.networks.initializers import initialize
from evoopt.networks.layers import Parameter
from evoopt.params import ParamSpec
from evoopt.tree import Trainable, read_tree, select
from evoopt.types import Array


def first_spec(parameters: Mapping[str, Parameter]) -> ParamSpec:
    """Make the spec of a new network; parameters that never evolve keep their first values."""
    generator, nothing = np.random.default_rng(0), np.float32(0)
    values = {
        name: np.broadcast_to(nothing, p.shape)
        if p.trainable
        else initialize(p.initializer, p.shape, p.fan_in, p.fan_out, generator)
        for name, p in parameters.items()
    }
    return ParamSpec.from_params(values, lambda name: parameters[name].trainable)


def frozen_spec(
    parameters: Mapping[str, Parameter], tree: Mapping[str, Any], trainable: Trainable
) -> ParamSpec:
    """Make the spec of a network that keeps the values of a tree, but for the trainable ones."""
    every = ParamSpec.from_shapes({name: parameter.shape for name, parameter in parameters.items()})
    own = every.unravel(vector_of(every, tree))  # refuses parameters of another shape or name
    chosen = select(list(every.names), trainable)
    return ParamSpec.from_params(own, lambda name: name in chosen and parameters[name].trainable)


def vector_of(spec: ParamSpec, params: Mapping[str, Any] | ArrayLike) -> Array:
    """Return a solution, nested or flat, as a vector (n_params,)."""
    vector = _ravel(spec, params) if isinstance(params, Mapping) else arrays.read("params", params)
    if vector.shape != (spec.size,):
        raise ValueError(
            f"A solution must have {spec.size} parameters, got {vector.shape}; a population goes to "
            "forward()."
        )
    return vector


def _ravel(spec: ParamSpec, params: Mapping[str, Any]) -> Array:
    """Return nested parameters as a vector in their precision."""
    _, leaves = read_tree(params)
    double = any(leaf.dtype == np.float64 for leaf in leaves.values())
    vector = spec.ravel(params)  # refuses parameters of another shape or name
    return spec.ravel(params, out=np.empty(vector.shape)) if double else vector
