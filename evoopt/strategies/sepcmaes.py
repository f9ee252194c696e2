"""CMA-ES with a diagonal covariance matrix: time and memory linear in the number of parameters.

Ros and Hansen 2008, A simple modification in CMA-ES achieving linear time and space complexity,
https://doi.org/10.1007/978-3-540-87700-4_30; with negative weights as in Hansen 2016,
https://arxiv.org/abs/1604.00772.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields, stopping
from evoopt.strategies.contract.fields import Fields, Kind, Scope
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import late, late_steps, recombination
from evoopt.strategies.parts.converging import ConvergingOptions
from evoopt.strategies.parts.covariance import condition
from evoopt.strategies.parts.discrete import Discrete
from evoopt.strategies.parts.foreign import outside_factors
from evoopt.strategies.parts.late import NEGLIGIBLE
from evoopt.strategies.parts.late_steps import Sums
from evoopt.strategies.parts.mixed import Mixed
from evoopt.types import Array, Ids, Vector

COMPLETE = 4  # elements of a snapshot: mean, sigma, p_sigma, updates; of older versions the first two


@register
class SepCMAES(Mixed):
    """CMA-ES that adapts one variance for each coordinate and no correlations.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Notes
    -----
    In a `Space` it searches `Integer` and `Choice` as `CMAES` does, by CatCMA with margin (Hamano
    et al. 2025, https://arxiv.org/abs/2504.07884). An integer is a rounded coordinate of the normal
    distribution, and a choice has a probability for each value. Neither ceases to vary: at least a
    quarter of the rows differ from the mean in one of them.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.SepCMAES([3.0, -2.0], sigma=1.0, seed=1, target=1e-10)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population**2).sum(axis=1))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _computes_on_device = True
    _sums_rows = True
    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        "_step": fields.STEP,
        "_C": fields.POSITIVE,
        "_p_sigma": fields.PATH,
        "_p_c": fields.array("n_params", limits=fields.finite),
        "_updates": fields.whole(),
        "_excess": fields.number(),
    }

    # the part of |p_sigma|^2 that is due to late rows alone; checkpoints of older versions lack it
    _excess: float = 0.0

    def __init__(
        self, mean: MeanLike, sigma: PointLike | None = None, **options: Unpack[ConvergingOptions]
    ) -> None:
        super().__init__(mean, sigma, **options)
        # sigma (n,) = step size * sqrt(diagonal of C)
        self._step = float(np.exp(np.log(self._sigma).mean()))
        self._C = (self._sigma / self._step) ** 2
        self._p_sigma = np.zeros(self.n_params)
        self._p_c = np.zeros(self.n_params)
        self._updates = 0

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        drawn = super()._snapshot(first_id)
        if self._discrete is not None:
            return *drawn, self._discrete.categories.odds
        return *drawn, self._p_sigma, self._updates

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        discrete = scope.owner._discrete
        more: tuple[Kind, ...] = fields.PATH, fields.whole()
        if discrete is not None:
            more = (discrete.categories.stored_odds,)
        elif type(value) is tuple and len(value) == 2:  # of an older version
            more = ()
        fields.tupled(fields.DRAWN_COORDINATES, fields.DRAWN_STEPS, *more)(value, place, scope)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        super()._sample(snapshot[:2], ids, out)
        if self._discrete is not None:
            self._discrete.categories.draw(self._key, ids, snapshot[2], out)

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        sigma = self._step * np.sqrt(self._C)
        fields.require(
            np.allclose(self._sigma, sigma, 1e-6, 0), f"{place}._sigma", "step sqrt(C)", self._sigma
        )
        fits = (np.abs(self._p_c) <= fields.APART * np.sqrt(self._C)).all()
        fields.require(fits, f"{place}._p_c", "a path in units of C", self._p_c)

    def _overall_sigma(self) -> float:
        return self._step

    def _measures(self) -> dict[str, float]:
        found = self._engine.range_of(self._sigma)
        return {"condition": condition(found.most, found.least)}

    def _update(self, told: Told) -> None:
        engine, k = self._engine, len(told.order)
        delay = late.delay(told, self._updates, COMPLETE)
        n, p = self._varied, recombination.separable(k, self._varied, delay)
        self._updates += 1
        given, mean = told, self._mean
        if self._discrete is not None:
            told, moved = self._discrete.settled(told, p.first_negative, self._mean)
        sums = self._sums(told, p)
        gain = math.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff)
        self._mean, self._p_sigma = engine.map(
            move, self._mean, self._p_sigma, self._C, sums.steps, sums.noise, self._step, p.c_sigma, gain
        )
        length = self._length_of_path(2 * (1 - p.c_sigma) * gain * sums.unaware, p.c_sigma)
        settled = 1 - (1 - p.c_sigma) ** (2 * self._updates)
        h_sigma = length**2 / settled / n < 2 + 4 / (n + 1)
        gain = h_sigma * math.sqrt(p.c_c * (2 - p.c_c) * p.mueff)
        lost = 0.0 if h_sigma else p.c_1 * p.c_c * (2 - p.c_c)
        decay = 1 - p.c_1 - p.c_mu * sums.weight + lost
        self._p_c, C = engine.map(
            adapt, self._C, self._p_c, sums.noise, sums.squares, self._step, p.c_c, gain, p.c_1, decay
        )
        change = p.c_sigma / p.d_sigma * (length / recombination.expected_length(n) - 1)
        smallest, largest = arguments.step_range(self.dtype)
        self._step = min(max(self._step * math.exp(min(1.0, change)), smallest), largest)  # Eq. (44)
        lowest, highest = (min(max(end / self._step, 1e-150), 1e150) ** 2 for end in (smallest, largest))
        lowest = max(1e-16 * engine.range_of(self._reals_of(C)).most, lowest)
        self._C, self._sigma = engine.map(deviations, C, self._step, lowest, highest)
        if self._discrete is not None:
            self._keep_margins(self._discrete, given, p.weights[: p.first_negative], moved, mean)

    def _keep_margins(
        self, discrete: Discrete, told: Told, weights: Vector, moved: NDArray[np.bool_], before: Vector
    ) -> None:
        """Let integers and categories follow; the margins of integers scale C."""
        self._C, self._p_c = self._C.copy(), self._p_c.copy()
        self._C[self._resting] = 1.0
        factors = np.ones(self.n_params)
        self._follow_discrete(discrete, told, weights, moved, before, self._C, factors)
        self._C *= factors**2
        self._p_c *= factors
        self._sigma = self._step * np.sqrt(self._C)

    def _place_and_steps(self) -> tuple[Vector, Vector]:
        return self._mean, self._engine.map(largest_steps, self._sigma, self._p_c, self._step)

    def _reasons(self) -> Sequence[Reason]:
        if self._discrete is None:
            return super()._reasons()
        (mean, steps), reals = self._place_and_steps(), self._discrete.reals  # integers always vary
        some = mean[reals], steps[reals], self._engine, self._first_real_step
        small = stopping.small_steps(self, *some) if len(reals) else []
        return [*small, *stopping.flat_fitness(self, self._fitness_range, self.tolfun, self.tolfun)]

    def _sums(self, told: Told, p: recombination.Parameters) -> Sums:
        """Return the weighted sums over rows: w (x - mean) and c_mu w (x - mean)^2.

        Negative weights are multiplied by n / |z|^2.
        """
        n, engine, search = self._varied, self._engine, (self._mean, self._sigma)
        ranked = np.empty(len(told.order))
        ranked[told.order] = p.weights
        if told.some_late and self._discrete is None:
            return late_steps.sums(told, ranked, p.c_mu, *search, self._p_sigma, engine)
        factors = outside_factors(told, *search, engine)
        if told.outside is not None:
            ranked[told.outside & (ranked < 0)] = 0.0
        weights, rates = np.maximum(ranked, 0.0), p.c_mu * ranked
        if factors is not None:
            weights *= factors
            rates *= factors**2
        negative = np.flatnonzero(ranked < 0)
        rates[negative] *= n / (engine.lengths(told.rows, negative, *search) + 1e-9) ** 2
        steps, squares = engine.moments(told.rows, weights, rates, self._mean)
        return Sums(steps, squares, steps, float(ranked.sum()))

    def _length_of_path(self, unaware: float, c_sigma: float) -> float:
        """Return |p_sigma|, without its excess by late rows."""
        excess = (1 - c_sigma) ** 2 * self._excess + unaware
        self._excess = excess if abs(excess) > NEGLIGIBLE else 0.0
        length = self._engine.norm(self._p_sigma)
        return math.sqrt(max(length**2 - self._excess, 0.0)) if self._excess else length


# Formulas, see `PopulationEngine.map`; step sizes are sigma = step sqrt(C).


def move(
    mean: Vector,
    p_sigma: Vector,
    C: Vector,
    y_w: Vector,
    noise: Vector,
    step: float,
    c_sigma: float,
    gain: float,
) -> tuple[Vector, Vector]:
    """Return the mean moved by y_w, the weighted sum of x - mean, and the step size path.

    `noise` is y_w as the rows were drawn, which differs for late rows.
    """
    return mean + y_w, (1 - c_sigma) * p_sigma + gain * (noise / step) / np.sqrt(C)


def adapt(
    C: Vector,
    p_c: Vector,
    y_w: Vector,
    squares: Vector,
    step: float,
    c_c: float,
    gain: float,
    c_1: float,
    decay: float,
) -> tuple[Vector, Vector]:
    """Return the path of C, and C after this path and the weighted `squares` of x - mean."""
    p_c = (1 - c_c) * p_c + gain * (y_w / step)
    return p_c, squares / (step * step) + c_1 * (p_c * p_c) + decay * C


def deviations(C: Vector, step: float, lowest: float, highest: float) -> tuple[Vector, Vector]:
    """Return C within its limits, and the step sizes."""
    C = np.minimum(np.maximum(C, lowest), highest)
    return C, step * np.sqrt(C)


def largest_steps(sigma: Vector, p_c: Vector, step: float) -> Vector:
    """Return the larger of the step size and of the path, in each coordinate."""
    return np.maximum(sigma, np.abs(step * p_c))
