"""Operators of the genetic algorithm: selection of parents, crossover and mutation.

Selection: Goldberg and Deb 1991, A comparative analysis of selection schemes used in genetic
algorithms, https://doi.org/10.1016/B978-0-08-050684-5.50008-2. Simulated binary crossover: Deb and
Agrawal 1995, https://www.complex-systems.com/abstracts/v09_i02_a02/. Whole arithmetical crossover:
Michalewicz 1996, Genetic algorithms + data structures = evolution programs,
https://doi.org/10.1007/978-3-662-03315-9. Polynomial mutation: Deb and Goyal 1996, A combined
genetic adaptive search (GeneAS) for engineering design.
"""

from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.params import ParamSpec
from evoopt.rules import genetic
from evoopt.spaces.space import MeanLike, Space
from evoopt.strategies.contract.fields import Fields, Scope, array, choice, number, optional, require, whole
from evoopt.strategies.contract.registry import plain_data
from evoopt.strategies.parts.converging import ConvergingOptions
from evoopt.types import Array

SelectionName = Literal["tournament", "truncation"]
Crossover = Literal["sbx", "uniform", "arithmetic", "tensor"] | None
Mutation = Literal["gaussian", "polynomial"]
_CROSSOVERS: dict[Crossover, int] = {
    "sbx": genetic.SBX,
    "uniform": genetic.UNIFORM,
    "arithmetic": genetic.ARITHMETIC,
    "tensor": genetic.TENSOR,
    None: genetic.CLONE,
}
_MUTATIONS: dict[Mutation, int] = {"gaussian": genetic.GAUSSIAN, "polynomial": genetic.POLYNOMIAL}


@plain_data
class Selection:
    """The rule that draws parents from a pool sorted best first."""

    _stored: ClassVar[Fields] = {
        "name": choice(*get_args(SelectionName)),
        "tournament": whole(1, genetic.MOST_CONTESTANTS),
        "parents": optional(whole(1)),
    }

    def __init__(self, selection: SelectionName, tournament: int, parents: int | None, popsize: int) -> None:
        self.name = arguments.one_of("selection", selection, get_args(SelectionName))
        self.tournament = arguments.whole("tournament", tournament, 1, genetic.MOST_CONTESTANTS)
        self.parents = None if parents is None else arguments.whole("parents", parents, 1, popsize)
        if self.name == "tournament" and parents is not None:
            raise ValueError(
                f'parents must be None with selection="tournament", got {shown(parents)}; '
                "choose one of the two."
            )
        if self.name == "truncation" and parents is None:
            self.parents = max(popsize // 5, 1)

    def contest(self, pool_size: int) -> tuple[int, int]:
        """Return the number of best rows to draw from, and of members to draw for each parent."""
        if self.parents is None:
            return pool_size, self.tournament
        return min(self.parents, pool_size), 1


@plain_data
class Variation:
    """The crossover and mutation by which children differ from their parents."""

    _stored: ClassVar[Fields] = {
        "crossover": choice(*_CROSSOVERS),
        "mutation": choice(*_MUTATIONS),
        "mutation_rate": number(0, 1),
        "_tensor_ends": array(None, dtype=np.int64),
    }

    def __init__(
        self, crossover: Crossover, spec: ParamSpec | None, mutation: Mutation, mutation_rate: float, n: int
    ) -> None:
        self.crossover = arguments.one_of("crossover", crossover, _CROSSOVERS)
        self.mutation = arguments.one_of("mutation", mutation, _MUTATIONS)
        self.mutation_rate = arguments.within("mutation_rate", mutation_rate, 0, 1)
        self._tensor_ends = _tensor_ends(self.crossover, spec, n)

    def _require_fit(self, place: str, scope: Scope) -> None:
        ends = [0, *self._tensor_ends.tolist()]
        last = scope.owner.n_params if self.crossover == "tensor" else 0
        require(ends == sorted(ends) and ends[-1] == last, f"{place}._tensor_ends", "ends of tensors", ends)

    def codes(self) -> tuple[int, NDArray[np.int64], int, np.uint64]:
        """Return crossover and mutation as codes for `PopulationEngine.breed`."""
        threshold = np.uint64(round(self.mutation_rate * genetic.ALWAYS))
        return _CROSSOVERS[self.crossover], self._tensor_ends, _MUTATIONS[self.mutation], threshold


def _tensor_ends(crossover: Crossover, spec: ParamSpec | None, n: int) -> NDArray[np.int64]:
    """Return the columns where tensors end, none unless crossover exchanges tensors."""
    if (crossover == "tensor") != (spec is not None):
        raise ValueError(
            f'spec must come with crossover="tensor" and only then, got {shown(spec)} with {shown(crossover)}'
            "; take spec=net.spec."
        )
    if spec is None:
        return np.zeros(0, np.int64)
    if not isinstance(spec, ParamSpec) or spec.size != n:
        raise ValueError(f"spec must be a ParamSpec of {n} parameters, got {shown(spec)}.")
    return np.append(spec.offsets[1:], spec.size).astype(np.int64)


def first_population(mean: MeanLike, options: ConvergingOptions) -> Array | None:
    """Return `mean` if it is a first population, and set its popsize and dtype in `options`."""
    if isinstance(mean, Space):
        return None
    population = arrays.read("mean", mean)
    if population.ndim != 2:
        return None
    arguments.whole("The number of rows of a first population", len(population), 2)
    if not np.isfinite(population).all():
        raise ValueError("A first population must be of finite numbers, got NaN or infinite ones.")
    if options.setdefault("popsize", None) not in (None, len(population)):
        raise ValueError(
            f"popsize must be {len(population)}, the rows of the first population, got "
            f"{options['popsize']}; leave it out."
        )
    options["popsize"] = len(population)
    options["dtype"] = dtype = arguments.row_dtype(population, options.get("dtype"))
    arguments.require_coordinates("first population", population.ravel(), dtype)
    return population
