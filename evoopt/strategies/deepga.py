"""Deep genetic algorithm: truncation selection, mutation alone, individuals as lists of row ids.

Such, Madhavan, Conti, Lehman, Stanley and Clune 2017, Deep neuroevolution: genetic algorithms are a
competitive alternative for training deep neural networks for reinforcement learning,
https://arxiv.org/abs/1712.06567.
"""

from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.devices.cpu.genetic import choose_uniformly, mutate
from evoopt.memory import available
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import genomes, schedules
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.genomes import ENTRY, FOUNDER, Genome, Origin, Weights
from evoopt.strategies.parts.schedules import Decay
from evoopt.types import Array, Ids, Vector

PARENTS = 20


@register
class DeepGA(Converging):
    """Genetic algorithm of Gaussian mutations alone, for large networks.

    The best rows of a generation are the parents of the next one; each child is a parent drawn at
    random plus `sigma` times normal noise. The step sizes do not adapt but follow a schedule:
    without `sigma_decay` the search comes no nearer to an optimum than about `sigma`.

    The noise is a function of the seed and the row's id. So an individual's genome is the list of
    the rows whose noise it has: 16 bytes a generation, however many parameters there are. The
    strategy keeps the weights of the present parents, so a row costs only as much as its noise.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 1000 by default. The first population is the mean plus noise.
        Bounds work as in the other strategies: mutations add up in a space without bounds, which is
        mapped into the box at the end. With ``noisy=True`` the elites are evaluated again as the
        first rows of the next population, and `solution` is the best of them by their new fitness;
        without elites it is the best row of the last generation.
    parents : int, optional
        The number of best rows that have children; by default 20, or a fifth of a popsize below
        100.
    elites : int
        The number of best parents that compete again in the next generation, at most `parents`.
    sigma_decay : float, LinearDecay or CosineDecay
        The factor of `sigma` in each update, or a schedule over the generations.
    sigma_limit : float
        The share of the first `sigma` at which the decay ends, 0 to 1.

    Raises
    ------
    ValueError
        If an argument is invalid. `tell` refuses foreign rows, because they have no genome.

    Notes
    -----
    If a whole population is too large, make and evaluate some rows at a time, and tell their ids,
    as ``evolve(..., chunk_size=50)`` does::

        ids = es.ask_ids()
        for i in range(0, len(ids), 50):
            fitness[i : i + 50] = task(es.rows(ids[i : i + 50], out=buffer))
        es.tell(ids, fitness)

    Checkpoints hold genomes, not weights: the first rows after `load` cost the noise of one row for
    each generation so far. If fewer than `popsize` rows are told, more of the old parents compete
    again, in proportion to the rows that are missing.

    Examples
    --------
    >>> import evoopt
    >>> options = {"popsize": 100, "sigma_decay": 0.9, "seed": 1, "target": 1e-8}
    >>> es = evoopt.DeepGA([3.0, -2.0], sigma=1.0, **options)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> genome = es.genome()  # of the best row: one entry for each of its mutations
    >>> len(genome) <= es.generation
    True
    >>> bool((es.decode(genome) == es.best.x).all())
    True
    """

    _injects = False
    _needs_rows = False
    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        **dict.fromkeys(("parents", "elites", "_updates"), fields.whole()),
        "sigma_decay": schedules.STORED_DECAY,
        **dict.fromkeys(("sigma_limit", "_share"), fields.number(0, 1)),
        "_origin": fields.instance(Origin),
        "_genomes": fields.items(tuple, genomes.stored_offspring),
        "_fitness": fields.array("genomes"),
        "_weights": fields.instance(Weights),
        "_best_genome": genomes.STORED_GENOME,
        "_judged": fields.optional(genomes.stored_offspring),
    }

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        parents: int | None = None,
        elites: int = 1,
        sigma_decay: Decay = 1.0,
        sigma_limit: float = 0.0,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        few = max(1, min(PARENTS, self.popsize // 5))
        self.parents = few if parents is None else arguments.whole("parents", parents, 1, self.popsize)
        self.elites = arguments.whole("elites", elites, 0, self.parents)
        self.sigma_decay = schedules.read("sigma_decay", sigma_decay)
        self.sigma_limit = arguments.within("sigma_limit", sigma_limit, 0, 1)
        self._origin = Origin(self._key, self._mean.astype(self.dtype), self._sigma.astype(self.dtype))
        self._share = 1.0  # the share of the first sigma that is left
        self._updates = 0
        # the parents, best first, with the fitness of each; none before the first update
        self._genomes: tuple[Genome, ...] = ()
        self._fitness = np.empty(0)
        self._weights = Weights(self.parents)
        self._best_genome = FOUNDER
        self._judged: Genome | None = None  # if noisy, the best elite evaluated again last

    def _default_popsize(self) -> int:
        return 1000

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        k = len(self._genomes)
        fields.require(len(self._fitness) == k, f"{place}._fitness", f"that of {k} genomes", self._fitness)
        fits = max(k, self.elites) <= self.parents == self._weights.size <= self.popsize
        fields.require(fits, f"{place}.parents", f"from {k} to {self.popsize}", self.parents)
        fits = self.parents * self.n_params * self.dtype.itemsize <= available()
        fields.require(fits, f"{place}.parents", "rows that fit into memory", self.parents)

    # ---------------------------------------------------------------- rows

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        asked_again = min(self.elites, len(self._genomes)) if self.noisy else 0
        return first_id, asked_again, self._genomes, self._share, self._origin

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        parents = fields.items(tuple, genomes.stored_offspring)
        kinds = fields.whole(), fields.whole(), parents, fields.number(0, 1), fields.instance(Origin)
        fields.tupled(*kinds)(value, place, scope)
        fields.require(value[1] <= len(value[2]), place, "of parents that are asked for again", value[1])

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        with self._weights.for_one() as weights:
            self._sample_by(weights, snapshot, ids, out)

    def _sample_by(self, weights: Weights, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        _, _, parents, share, origin = snapshot
        if [*map(genomes.name, parents)] != [*map(genomes.name, self._genomes)]:
            for i in range(len(ids)):  # late rows: their parents are no longer the present ones
                weights.decode(self._genome(snapshot, ids[i : i + 1]), origin, out[i])
            return
        if not parents:
            self._engine.sample(origin.key, ids, origin.mean, origin.sigma, out)
            return
        chosen, again = self._parents(snapshot, ids)
        chosen = weights.places(parents, origin)[chosen]
        mutate(origin.key, ids, chosen, weights.rows, share, origin.sigma, out)
        for i in np.flatnonzero(again).tolist():
            out[i] = weights.rows[chosen[i]]

    def _parents(self, snapshot: tuple[Any, ...], ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the places of the rows' parents, and which rows are a parent asked for again."""
        first_id, asked_again, parents, _, origin = snapshot
        chosen = choose_uniformly(origin.key, ids, len(parents))
        place = ids - np.uint64(first_id)
        again = place < asked_again
        chosen[again] = place[again]
        return chosen, again

    def _genome(self, snapshot: tuple[Any, ...], one: Ids) -> Genome:
        """Return the genome of a row, given as ids of shape (1,)."""
        _, _, parents, share, _ = snapshot
        if not parents:
            return genomes.child(FOUNDER, int(one[0]), share)
        chosen, again = self._parents(snapshot, one)
        parent: Genome = parents[chosen[0]]
        return parent if again[0] else genomes.child(parent, int(one[0]), share)

    # ---------------------------------------------------------------- learning

    def _update(self, told: Told) -> None:
        k = len(told.order)
        missing = self.parents - self.parents * k // self.popsize  # the share of rows not told
        kept = min(max(0 if self.noisy else self.elites, missing), len(self._genomes))
        fitness = np.concatenate([self._fitness[:kept], told.fitness])
        order = fitness.argsort(kind="stable")
        order = order[: len(order) - int(np.isnan(fitness).sum())][: self.parents]  # NaN has no children
        if self.best.generation == self.generation:
            self._best_genome = self._told_genome(told, told.order[0])
        for asked_again, rows, places in told.by_place() if self.noisy else ():
            for i in rows[places < asked_again][:1]:
                self._judged = self._told_genome(told, i)
        self._genomes = tuple(
            self._genomes[i] if i < kept else self._told_genome(told, i - kept) for i in order
        )
        self._fitness = fitness[order]
        self._updates += 1
        smallest = arguments.step_range(self.dtype)[0] / float(self._sigma.min())
        self._share = max(schedules.share(self.sigma_decay, self.sigma_limit, self._updates), smallest)

    def _told_genome(self, told: Told, i: int) -> Genome:
        """Return the genome of the told row `i`."""
        for snapshot, where in told.drawn:
            if isinstance(where, slice) or (where == i).any():
                return self._genome(snapshot, told.ids[i : i + 1])
        raise LookupError("The row is foreign.")

    def _place_and_steps(self) -> tuple[Vector, Vector]:
        place, box = self._best_or_mean(), self._box
        return place if box is None or self.space is None else box.inverse(place, "best row"), self.sigma

    # ---------------------------------------------------------------- genomes

    def genome(self, row_id: int | None = None) -> Genome:
        """Return a copy of the genome of a row, from which `decode` makes its weights again.

        Parameters
        ----------
        row_id : int, optional
            The id of a row that waits for its fitness, or of a present parent; by default the best
            row's.

        Returns
        -------
        ndarray, shape (length,), with fields "row" and "share"
            One item for each mutation, oldest first: the id of the row that the noise was drawn
            for, and the share of the first `sigma` that it is multiplied by. An empty genome is the
            mean. ``numpy.save`` can store it.

        Raises
        ------
        ValueError
            If the id is not known.
        """
        if row_id is None:
            return self._best_genome.copy()
        one = arguments.id_vector([row_id])
        for genome in self._genomes:
            if genomes.name(genome) == row_id:
                return genome.copy()
        return self._genome(self._ledger.locate(one)[0][0].snapshot, one).copy()

    def decode(self, genome: ArrayLike, out: Array | None = None) -> Array:
        """Return the weights of a genome, with the same bits as its row.

        The mutations are added to the mean one after the other, in the dtype of the rows: each is
        the share times `sigma` times the noise of its row. Then bounds apply. The weights depend
        only on the options of the strategy: any other ``DeepGA(mean, sigma, bounds=..., seed=...,
        dtype=...)`` returns the same ones.

        Parameters
        ----------
        genome : array_like, shape (length,)
            A result of `genome`.
        out : ndarray, shape (n_params,), optional
            A C-contiguous array of the strategy's dtype for the weights.

        Raises
        ------
        ValueError
            If `genome` is not a genome, or `out` is another kind of array.
        """
        given = arrays.unmasked("genome", genome)
        if given.ndim != 1 or given.dtype != ENTRY:
            raise ValueError(
                f"genome must have the shape (length,) and the dtype {ENTRY}, got {given.dtype} "
                f"{given.shape}; take one from es.genome()."
            )
        weights = arrays.output(out, (self.n_params,), self.dtype)
        self._origin.decode(given, weights)
        return self._enclosed(weights)

    # ---------------------------------------------------------------- results

    @property
    def mean(self) -> Array:
        """The mean of the parents, at first the start of the search; shape (n_params,)."""
        if not self._genomes:
            return super().mean
        with self._weights.for_one() as weights:
            first, *others = weights.places(self._genomes, self._origin)
            rows, shift = weights.rows, np.zeros(self.n_params)
            for place in others:
                shift += rows[place] - rows[first]  # exactly 0 if all are alike
            mean: Array = (rows[first] + shift / (1 + len(others))).astype(self.dtype)
        return self._enclosed(mean)

    @property
    def sigma(self) -> Vector:
        """The standard deviation of mutations in each coordinate (n_params,), before bounds."""
        return self._share * self._sigma

    def _overall_sigma(self) -> float:
        return self._share * float(self._sigma.mean())

    @property
    def solution(self) -> Array:
        """The recommended parameters: the best row, or the mean if there is none.

        With ``noisy=True`` it is the best of the elites that were evaluated again last.
        """
        if self._judged is None:
            return self._best_or_mean()
        row = np.empty(self.n_params, self.dtype)
        with self._weights.for_one() as weights:
            weights.decode(self._judged, self._origin, row)
        return self._enclosed(row)

    def _best_or_mean(self) -> Array:
        x = self.best.x
        return self.mean if x is None else x
