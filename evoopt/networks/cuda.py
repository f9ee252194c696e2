"""Networks on CUDA: layers -> what kernels are specialised for."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from evoopt.kernels.cuda.dense import NONE, DenseLayer
from evoopt.networks.compile import NamedLayer
from evoopt.networks.layers import Dense
from evoopt.params import ParamSpec


def dense_layers(layers: Iterable[NamedLayer], spec: ParamSpec) -> tuple[DenseLayer, ...]:
    """Give the layers as kernels take them; ValueError for another kind than Dense."""
    rows = dict(zip(spec.names, spec.offsets, strict=True))
    shared, end = {}, 0
    for name, value in spec.frozen.items():
        shared[name], end = end, end + value.size
    found = []
    for name, layer, shape in layers:
        if not isinstance(layer, Dense) or len(shape) != 1:
            raise ValueError(
                f'A network with device="cuda" takes Dense layers of inputs with one axis, but {name} is '
                f"{layer!r} of inputs {shape}; leave out device, or take other layers."
            )
        kernel, bias = f"{name}.kernel", f"{name}.bias"
        places = {**rows, **shared}
        found.append(
            DenseLayer(
                shape[0],
                layer.units,
                places[kernel],
                kernel in shared,
                places[bias] if layer.use_bias else NONE,
                bias in shared,
                layer.activation,
            )
        )
    return tuple(found)


def frozen_vector(spec: ParamSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Give the frozen parameters one after the other, at least one number."""
    parts = [value.reshape(math.prod(value.shape)) for value in spec.frozen.values()]
    return np.concatenate([*parts, np.zeros(1)]).astype(np.float32)
