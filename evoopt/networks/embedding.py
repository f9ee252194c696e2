"""Embedding: vectors of numbers for ids."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from evoopt import arguments
from evoopt.devices.interface.network import Location, Operation
from evoopt.networks.initializers import Initializer, check_initializer
from evoopt.networks.layers import NamedLayer, Parameter
from evoopt.types import Shape

MOST_IDS = 1 << 24  # float32 has each whole number below


@dataclass(frozen=True)
class Embedding(NamedLayer):
    """A table of vectors: of each id, a whole number, its row of the embedding (n, features).

    Ids (time,) become (time, features). They are inputs, so they come as floating numbers, of which
    float32 is exact up to 2^24. An id that is not a whole number from 0 to ``n - 1`` becomes a
    vector of NaN, which ranks worst.

    Parameters
    ----------
    n : int
        Number of different ids, at most 2^24.
    features : int
        Length of the vector of an id.
    embedding_init : str
        As `kernel_init` for `Dense`.

    Raises
    ------
    ValueError
        For an unknown initializer, `n` that is not a whole number from 1 to 2^24, or `features` not
        one of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Embedding(3, 2)], input_shape=(4,))
    >>> params = {"embedding_0": {"embedding": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])}}
    >>> net.predict(params, np.array([[2, 0, 0, 1]]))
    array([[[4., 5.],
            [0., 1.],
            [0., 1.],
            [2., 3.]]])
    """

    n: int
    features: int
    embedding_init: Initializer = "lecun_normal"

    kind: ClassVar[str] = "embedding"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", arguments.whole("n", self.n, 1, MOST_IDS))
        object.__setattr__(self, "features", arguments.whole("features", self.features, 1))
        check_initializer(self.embedding_init)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.features)

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = self.n, self.features
        return {"embedding": Parameter(shape, self.embedding_init, self.features, self.features)}

    def operations(self, input_shape: Shape, locations: Mapping[str, Location]) -> Iterator[Operation]:
        places = math.prod(input_shape)
        yield Operation(
            "embedding",
            places,
            places * self.features,
            (locations["embedding"],),
            sizes=(self.n, self.features),
            weights=self.features,
            places=places,
        )
