"""Real-coded genetic algorithm: selection, crossover, self-adaptive mutation, elites.

Self-adaptation of the step size as in Beyer and Schwefel 2002, Evolution strategies: a
comprehensive introduction, https://doi.org/10.1023/A:1015059928466; for the operators see
`evoopt.strategies.parts.operators`, for integers and choices `evoopt.strategies.parts.heredity`.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments
from evoopt.devices.cpu.genetic import child_steps, choose_parents
from evoopt.params import ParamSpec
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.spaces.variables import Choice, Integer, Real
from evoopt.strategies.contract import fields, stopping
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import operators, schedules, shape
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.heredity import Heredity
from evoopt.strategies.parts.schedules import Decay
from evoopt.types import Array, Ids, Vector

LEAD_RATE = 0.1  # how fast old comparisons of elites with the mean of the parents are forgotten


@register
class GA(Converging):
    """Genetic algorithm on real numbers, integers and categories.

    The pool of parents has the rows told last and the elites. Selection draws two parents, which
    have two complementary children; then each child mutates. Its step size is inherited and
    mutates, too. The ratios of the step sizes between coordinates follow the spread of the best
    quarter of the parents.

    In a `Space`, a child has each of its categories from either parent, and each of its integers
    from crossover and mutation, as reals, rounded to the nearest whole number. Besides, about one
    child in three mutates in an integer or a choice, see `mutation_rate`.

    Parameters
    ----------
    mean : array_like, shape (n_params,) or (popsize, n_params)
        The centre of the first population, or the first population itself; or a `Space`.
    sigma : float or array_like, shape (n_params,)
        Standard deviation of the first population and of the first mutations. To set one number for
        each tensor, see `ParamSpec.expand`.
    popsize : int, optional
        100 by default, or the rows of `mean`.
    x0, bounds, maximize, noisy, seed, dtype, target, max_evaluations, max_generations,
    tolx, tolfun
        See `Strategy`.
    selection : "tournament" or "truncation"
        A parent is the best of `tournament` rows drawn at random, or any of the best `parents`
        rows.
    tournament : int
        The number of rows in a tournament, 1 to 32.
    parents : int, optional
        The number of best rows that truncation draws parents from; a fifth of `popsize` by default.
    crossover : "sbx", "uniform", "arithmetic", "tensor" or None
        Simulated binary crossover; exchange of coordinates; one random point on the line between
        the parents; exchange of whole tensors of `spec`; or none. Categories are exchanged one by
        one, and stay with None; simulated binary crossover also exchanges integers.
    spec : ParamSpec, optional
        The spec of the parameters, for example ``net.spec``, for ``crossover="tensor"``.
    mutation : "gaussian" or "polynomial"
        The distribution of the mutations, with standard deviation `sigma`, with `bounds` or
        without. Deb's polynomial mutation, with index 15, moves no farther than 12.4 sigma. Other
        libraries scale polynomial mutation to the box, like ``sigma=0.081 * (high - low)`` with
        ``self_adaptation=False`` here.
    mutation_rate : float
        The probability that a coordinate mutates. Of m integers and choices each one mutates
        besides with the probability 1 / (3 m), the least rate of Li et al. 2013
        (https://doi.org/10.1162/EVCO_a_00059), or `mutation_rate` if that is less: a choice to
        another category, all equally likely; an integer by the child's step size, at least to the
        next number, so that it moves however small step sizes are.
    self_adaptation : bool
        Whether step sizes adapt. If not, all mutations have `sigma`, which follows its schedule.
    sigma_decay : float, LinearDecay or CosineDecay
        The factor of `sigma` in each update, or a schedule over the generations, if it does not
        adapt.
    sigma_limit : float
        The share of the first `sigma` at which the decay ends, 0 to 1.
    elites : int, optional
        The number of best rows that survive, less than `popsize`; 2 % of it by default.
    reevaluate : bool, optional
        Whether elites are evaluated again, as the first rows of the next population, and survive by
        their new fitness; otherwise they keep their old fitness. The default is `noisy`. With
        ``noisy=True`` the row after the elites is then the mean of the parents, and `solution` is
        not the luckiest row, but this mean or the best elite by its new fitness, whichever ranked
        better over the last generations. If no elites are evaluated again, `solution` is the best
        row of the last generation.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.GA([3.0, -2.0], sigma=1.0, popsize=50, seed=1, target=1e-8)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _kinds = (Real, Integer, Choice)
    _memory = 1
    _computes_on_device = True
    _reflects = True
    _heredity: Heredity | None = None  # of integers and choices, if there are any
    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        "_first_sigma": fields.STEPS,
        "_selection": fields.instance(operators.Selection),
        "_variation": fields.instance(operators.Variation),
        **dict.fromkeys(("self_adaptation", "reevaluate"), fields.flag),
        "sigma_decay": schedules.STORED_DECAY,
        "sigma_limit": fields.number(0, 1),
        **dict.fromkeys(("elites", "_updates"), fields.whole()),
        **dict.fromkeys(("_log_centre", "_tau"), fields.number()),
        "_lead": fields.number(-1, 1),
        **dict.fromkeys(("_diversity",), fields.ANY_NUMBER),
        "_pool": fields.array("pool", "n_params", dtype="rows", limits=fields.coordinates),
        "_fitness": fields.array("parents"),
        "_steps": fields.array("parents", limits=fields.positive),
        "_judged": fields.optional(fields.ROW),
        "_heredity": fields.optional(fields.instance(Heredity)),
    }

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        selection: operators.SelectionName = "tournament",
        tournament: int = 4,
        parents: int | None = None,
        crossover: operators.Crossover = "sbx",
        spec: ParamSpec | None = None,
        mutation: operators.Mutation = "gaussian",
        mutation_rate: float = 1.0,
        self_adaptation: bool = True,
        sigma_decay: Decay = 1.0,
        sigma_limit: float = 0.0,
        elites: int | None = None,
        reevaluate: bool | None = None,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        first = operators.first_population(mean, options)
        super().__init__(mean if first is None else first.mean(axis=0, dtype=float), sigma, **options)
        self._selection = operators.Selection(selection, tournament, parents, self.popsize)
        self._variation = operators.Variation(crossover, spec, mutation, mutation_rate, self.n_params)
        self.self_adaptation = arguments.flag("self_adaptation", self_adaptation)
        self.sigma_decay = schedules.read("sigma_decay", sigma_decay)
        self.sigma_limit = arguments.within("sigma_limit", sigma_limit, 0, 1)
        if self.self_adaptation and self.sigma_decay != 1:
            raise ValueError(
                f"sigma_decay must be 1 for step sizes that adapt, got {sigma_decay!r}; take "
                "self_adaptation=False, or leave sigma_decay out."
            )
        few = max(1, self.popsize // 50)
        self.elites = few if elites is None else arguments.whole("elites", elites, 0, self.popsize - 1)
        self.reevaluate = self.noisy if reevaluate is None else arguments.flag("reevaluate", reevaluate)
        self._diversity = math.nan
        self._first_sigma, self._updates = self._sigma, 0
        self._log_centre, self._tau = self._log_centre_and_rate()
        # The pool of parents, best first, with the fitness and step size of each. Before the first
        # update it is the first population, without fitness and step sizes.
        self._pool = np.empty((0, self.n_params), self.dtype)
        if first is not None:
            self._pool = first.astype(self.dtype)
        if self._box is not None:
            self._box.require_inside(self._pool, "first population")
        self._fitness = np.empty(0)
        self._steps = np.empty(0)
        self._judged: Array | None = None  # if noisy, the recommended row
        self._lead = 0.0  # how much better the mean of the parents ranked than the first elite
        if isinstance(self._box, SpaceBox):
            self._search_in(self._box)

    def _search_in(self, box: SpaceBox) -> None:
        if len(box.whole[0]):
            self._heredity = Heredity(box)
            self._log_centre, self._tau = self._log_centre_and_rate()

    @property
    def _neighbours(self) -> int:
        return self.n_params if self._heredity is None else self._heredity.box.neighbours

    def _numbers_of(self, vector: Vector) -> Vector:
        """Return a vector (n_params,) without choices, whose step sizes mean nothing."""
        return vector if self._heredity is None else vector[self._heredity.numbers]

    def _log_centre_and_rate(self) -> tuple[float, float]:
        """Return the mean logarithm that sigma keeps, and the rate at which step sizes mutate."""
        sigma = self._numbers_of(self._first_sigma)
        dimension = self.n_params if self._heredity is None else self._heredity.dimension
        return float(np.log(sigma).mean()), 1 / math.sqrt(2 * dimension)

    def _default_popsize(self) -> int:
        return 100

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        centre, sigma = (self._engine.snapshot(x, self.dtype) for x in (self._centre(), self._sigma))
        asked_again = min(self.elites, len(self._steps)) if self.reevaluate else 0
        return first_id, asked_again, centre, sigma, self._pool, self._steps

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        k = len(self._steps)  # parents, none before the first update
        fields.require(len(self._pool) == k or not k, f"{place}._pool", f"that of {k} parents", self._pool)
        fields.require(bool(k) == bool(self._updates), f"{place}._updates", f"of {k} parents", self._updates)
        fields.require(self.elites < self.popsize, f"{place}.elites", "fewer than popsize", self.elites)
        _require_steps(self._steps, self._sigma, f"{place}._steps", scope)
        centre, _ = self._log_centre_and_rate()
        fits = abs(self._log_centre - centre) < 1e-6
        fields.require(fits, f"{place}._log_centre", f"about {centre:g}", self._log_centre)

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        pool = fields.array("drawn", "n_params", dtype="rows", limits=fields.coordinates)
        steps = fields.array("steps", limits=fields.positive)
        kinds = fields.whole(), fields.whole(), fields.DRAWN_COORDINATES, fields.DRAWN_STEPS, pool, steps
        fields.tupled(*kinds)(value, place, scope)
        k, asked_again = len(value[5]), value[1]
        fits = k in (0, len(value[4])) and asked_again <= k
        fields.require(fits, place, f"of {k} parents", value[4])
        _require_steps(value[5], value[3], place, scope)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        first_id, asked_again, centre, sigma, pool, pool_steps = snapshot
        if len(pool_steps):
            parents, steps = self._parents(snapshot, ids)
            drawn = (self._key, ids, parents, pool, steps, sigma)
            limit = self.dtype.type(arguments.farthest(self.dtype))
            self._engine.breed(*drawn, self._variation.codes(), limit, out)
            if self._heredity is not None:
                self._heredity.inherit(*drawn, self._variation, out)
        else:
            self._engine.sample(self._key, ids, centre, sigma, out)
            if self._heredity is not None:
                self._heredity.begin(self._key, ids, out)
            asked_again = len(pool)
        place = ids - np.uint64(first_id)
        again = np.flatnonzero(place < asked_again)
        if len(again):
            self._engine.put(out, again, self._engine.take(pool, place[again].astype(np.intp)))
        if self._judges() and len(pool_steps) and (place == asked_again).any():
            self._engine.put(out, np.flatnonzero(place == asked_again), self._engine.host(centre)[None])

    def _judges(self) -> bool:
        """Return whether the mean of the parents is evaluated after the elites, to compare them."""
        return self.noisy and self.reevaluate and self.elites > 0

    def _centre(self) -> Array:
        """Return the centre of the first population, or of the parents if it is evaluated."""
        if not (len(self._steps) and self._judges()):
            return self._mean
        return self._with_likeliest(shape.centre_of(self._pool, self._engine))

    def _with_likeliest(self, mean: Array) -> Array:
        """Return the mean of the parents, of choices with their most frequent category instead."""
        return mean if self._heredity is None else self._heredity.with_likeliest(mean, self._pool)

    def _parents(self, snapshot: tuple[Any, ...], ids: Ids) -> tuple[NDArray[np.intp], Vector]:
        """Return the parents of rows drawn from a pool, shape (k, 2), and the rows' step sizes."""
        first_id, asked_again, _, _, _, pool_steps = snapshot
        parents = choose_parents(self._key, ids, *self._selection.contest(len(pool_steps)))
        if not self.self_adaptation:
            return parents, np.ones(len(ids))
        steps = child_steps(self._key, ids, parents, pool_steps, self._tau)
        place = ids - np.uint64(first_id)
        again = np.flatnonzero(place < asked_again)
        steps[again] = pool_steps[place[again]]
        return parents, steps

    def _update(self, told: Told) -> None:
        k = len(told.order)
        steps = np.full(k, self._median_step())
        for snapshot, where in told.drawn:
            if len(snapshot[-1]):
                steps[where] = self._parents(snapshot, told.ids[where])[1]
        # the elites stay, and more of the old parents if fewer than popsize rows were told
        kept = min(max(0 if self.reevaluate else self.elites, self.popsize - k), len(self._steps))
        fitness = np.concatenate([self._fitness[:kept], told.fitness])
        order = fitness.argsort(kind="stable")
        order = order[: len(order) - int(np.isnan(fitness).sum())]  # NaN has no children
        self._pool = self._merge(told, order, kept)
        self._fitness = fitness[order]
        steps = np.concatenate([self._steps[:kept], steps])[order]
        smallest, largest = arguments.step_range(self.dtype)
        engine, self._updates = self._engine, self._updates + 1
        spread = shape.spread_of_best(self._pool, engine)
        with np.errstate(over="ignore"):  # parents may be far apart
            self._diversity = engine.range_of(self._numbers_of(spread)).mean
        centre = self._log_centre
        if self._heredity is not None:
            spread[self._heredity.choices] = 0.0  # they say nothing of mutations
            centre = shape.log_centre_of_varied(self._sigma, spread)  # integers may have settled
        if self.self_adaptation:
            self._sigma = shape.follow(self._sigma, spread, centre, smallest, largest, engine)
            found = engine.range_of(self._sigma)
            steps = np.clip(steps, smallest / found.least, largest / found.most)
        elif self.sigma_decay != 1:
            share = schedules.share(self.sigma_decay, self.sigma_limit, self._updates)
            self._sigma = engine.map(schedules.shrunk, self._first_sigma, share, smallest, largest)
        self._steps = steps
        if self._judges():
            self._judge(told)

    def _judge(self, told: Told) -> None:
        """Choose the recommended row: the mean of the parents, or the best of the elites.

        One noisy evaluation says little, so the average of many decides between the two.
        """
        ranks = np.empty(len(told.order))
        ranks[told.order] = np.linspace(0, 1, len(ranks))
        for asked_again, rows, places in told.by_place():
            elites, first, centre = (
                rows[chosen] for chosen in (places < asked_again, places == 0, places == asked_again)
            )
            if asked_again and len(first) and len(centre):
                self._lead += LEAD_RATE * (float(ranks[first[0]] - ranks[centre[0]]) - self._lead)
            best = centre if self._lead > 0 else elites
            if asked_again and len(best):
                self._judged = self._engine.copy(told.population[best[0]])

    def _merge(self, told: Told, order: NDArray[np.intp], kept: int) -> Array:
        """Return the rows `order` of [first `kept` parents, told rows], without other copies."""
        pool: Array = self._engine.gather(order, self._pool, kept, told.population)
        if told.outside is not None:  # foreign rows may be anywhere
            self._engine.limit(pool, arguments.farthest(self.dtype))
        return pool

    def _reasons(self) -> Sequence[Reason]:
        if not len(self._steps):
            return ()
        best, steps = self._engine.host(self._pool[0]).astype(np.float64), self.sigma
        if self._heredity is not None:
            return self._heredity.reasons(self, self._pool, self._fitness, steps)
        reasons = stopping.small_steps(self, best, steps)
        if reasons:  # only then look at all parents
            widths = np.ptp(self._engine.host(self._pool), axis=0)
            reasons = stopping.small_steps(self, best, np.maximum(steps, widths))
        return [*reasons, *stopping.flat_fitness(self, self._fitness_range, self.tolfun)]

    def _median_step(self) -> float:
        k = len(self._steps)
        if not k:
            return 1.0
        ordered = np.sort(self._steps)  # np.median takes five times as long for a hundred
        return float(ordered[(k - 1) // 2] + ordered[k // 2]) / 2

    def _overall_sigma(self) -> float:
        mean: float = self._engine.range_of(self._numbers_of(self._sigma)).mean
        return self._median_step() * mean

    def _measures(self) -> dict[str, float]:
        return {"diversity": self._diversity}

    def _searched_mean(self) -> Array:
        """Return the mean (n_params,) of the parents, at first the first population's centre."""
        if not len(self._steps):
            return super()._searched_mean()
        return self._with_likeliest(self._engine.host(self._pool).mean(axis=0, dtype=float))

    @property
    def sigma(self) -> Vector:
        """The median parent's standard deviation of mutations in each coordinate (n_params,)."""
        result: Vector = self._median_step() * self._engine.host(self._sigma)
        return result

    @property
    def solution(self) -> Array:
        """The recommended parameters: the best row, or the centre if there is none.

        With ``noisy=True`` see the option `reevaluate`.
        """
        x = self.best.x if self._judged is None else self._enclosed(np.array(self._judged))
        return self.mean if x is None else x


def _require_steps(steps: Vector, sigma: Array, place: str, scope: Scope) -> None:
    """Raise ValueError unless step sizes of parents from a file, times sigma, are within limits."""
    least, most = fields.steps(scope.owner.dtype)
    fits = (steps >= least / float(sigma.min())) & (steps <= most / float(sigma.max()))
    fields.require(fits.all(), place, f"of steps from {least:g} to {most:g}", steps)
