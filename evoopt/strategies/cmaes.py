"""CMA-ES: covariance matrix adaptation, the default for up to a few hundred parameters.

Hansen 2016, The CMA evolution strategy: a tutorial, https://arxiv.org/abs/1604.00772, with negative
weights; Hansen 2011, Injecting external solutions into CMA-ES, https://arxiv.org/abs/1110.4181;
Krause, Arbones and Igel 2016, CMA-ES with optimal covariance update and storage complexity,
https://papers.nips.cc/paper/6457 (a Cholesky factor in place of the symmetric root). Constants and
stopping rules are pycma's, https://github.com/CMA-ES/pycma.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.devices.cpu import covariance as matrices
from evoopt.devices.cpu.covariance import Constants, Drawn, Paths, Ranked, Update
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields, stagnation, stopping
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.stopping import Reason
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import covariance as covariances
from evoopt.strategies.parts import late, recombination
from evoopt.strategies.parts.converging import ConvergingOptions
from evoopt.strategies.parts.discrete import Discrete
from evoopt.strategies.parts.foreign import longest_step
from evoopt.strategies.parts.learning_rates import STORED_MATRIX, LearningRate, Rates, share
from evoopt.strategies.parts.mixed import Mixed
from evoopt.strategies.parts.recombination import Parameters
from evoopt.types import Array, Ids, Vector

MATRICES = 5  # (n, n) float64 at once: C and its root, now and before, and one for eigenvalues
NOISY_MATRICES = 2  # more of them: the moving average of the updates, now and before
LARGE = 1000  # parameters; with more, only one older root is kept for rows that wait
LEAST_PERIOD = 50  # updates between two computations of eigenvalues, or n_params if that is more
SCALES = (1e-100, 1e100)  # limits of the coordinates' scales, so that no quotient by them overflows


@register
class CMAES(Mixed):
    """Covariance matrix adaptation evolution strategy.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default.
    covariance : array_like, shape (n_params, n_params), optional
        The matrix of the first search distribution N(mean, sigma^2 covariance), or if `sigma` is an
        array N(mean, diag(sigma) covariance diag(sigma)); by default the identity. `IPOP` and
        `BIPOP` begin each run with it. To begin with the distribution of another search, write
        ``CMAES(other.mean, other.sigma, covariance=other.covariance)``.
    tolfunhist, tolupsigma, tolconditioncov, tolflatfitness, tolstagnation : float
        `stop` has a reason when the best fitness of the last generations ranges over less than
        `tolfunhist`; when the step size grew by a factor of `tolupsigma` more than the longest
        axis; when the condition number of the covariance exceeds `tolconditioncov`; and when the
        fitness was flat for more than `tolflatfitness` generations, or did not improve for more
        than about `tolstagnation`. With ``noisy=True`` neither the range of the fitness nor a lack
        of improvement is a reason: set a limit.
    maxiter : float, optional
        `stop` has a reason after so many updates, because more rarely help without a restart. The
        default is pycma's 100 + 150 (n_params + 3)^2 / sqrt(popsize), with ``noisy=True`` no limit.
        Another limit is `max_generations`, which `IPOP` and `BIPOP` apply to all runs together.

    Attributes
    ----------
    sigma : float
        The overall step size.
    covariance : ndarray, shape (n_params, n_params)
        Rows are drawn from N(mean, sigma^2 covariance), before bounds.
    std : ndarray, shape (n_params,)
        The standard deviations of rows before bounds: sigma times the root of the diagonal.

    Raises
    ------
    ValueError
        If an argument is invalid, the covariance is not symmetric and positive definite, or the
        matrices would not fit in memory.

    Notes
    -----
    With ``noisy=True`` the learning rates of mean and covariance adapt to the noise (Nomura et al.
    2023), and no row is evaluated twice; see `docs/benchmarks/noise.md`. In a `Space` it searches
    `Integer` and `Choice` by CatCMA with margin (Hamano et al. 2025,
    https://arxiv.org/abs/2504.07884); see `docs/design/spaces.md`.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.CMAES([-1.0, 2.0], sigma=0.5, seed=1)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, [100 * (y - x**2) ** 2 + (1 - x) ** 2 for x, y in population])
    >>> es.solution.round(4)
    array([1., 1.])
    """

    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        "_scale": fields.POSITIVE,
        **dict.fromkeys(("_C", "_root"), fields.FINITE_MATRIX),
        **dict.fromkeys(("_p_sigma", "_p_c"), fields.PATH),
        **dict.fromkeys(("_step", "_first_step"), fields.STEP),
        **dict.fromkeys(("_longest", "_h_factor"), fields.POSITIVE_NUMBER),
        **dict.fromkeys(("tolfunhist", "tolupsigma", "tolconditioncov", "_excess"), fields.number()),
        **dict.fromkeys(("tolflatfitness", "tolstagnation", "maxiter"), fields.number()),
        "_extremes": fields.tupled(fields.number(), fields.number(0)),
        "_step_range": fields.tupled(fields.POSITIVE_NUMBER, fields.POSITIVE_NUMBER),
        **dict.fromkeys(("_updates", "_factorized", "_looked", "_flat_generations"), fields.whole()),
        "_stagnant": fields.flag,
        "_rates": fields.optional(
            fields.tupled(fields.instance(LearningRate), fields.instance(LearningRate, E=STORED_MATRIX))
        ),
    }

    # the part of |p_sigma|^2 that is due to late rows alone; checkpoints of older versions lack it
    _excess: float = 0.0

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        covariance: ArrayLike | None = None,
        tolfunhist: float = 1e-12,
        tolupsigma: float = 1e20,
        tolconditioncov: float = 1e14,
        tolflatfitness: float = 1,
        tolstagnation: float | None = None,
        maxiter: float | None = None,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        n = self.n_params
        if n > LARGE:
            self._ledger.memory = 1
        averages = NOISY_MATRICES if self.noisy else 0
        covariances.require_matrices("CMAES", n, MATRICES + averages + self._ledger.memory)
        self.tolfunhist = arguments.number("tolfunhist", tolfunhist)
        self.tolupsigma = arguments.number("tolupsigma", tolupsigma)
        self.tolconditioncov = arguments.number("tolconditioncov", tolconditioncov)
        self.tolflatfitness = arguments.number("tolflatfitness", tolflatfitness)
        idle = int(100 + 100 * n**1.5 / self.popsize) if tolstagnation is None else tolstagnation
        self.tolstagnation = arguments.number("tolstagnation", idle)
        most = math.inf if self.noisy else int(100 + 150 * (n + 3) ** 2 / math.sqrt(self.popsize))
        self.maxiter = arguments.number("maxiter", most if maxiter is None else maxiter)
        # the distribution is N(mean, step^2 S C S), S = diag(scale)
        self._step = self._first_step = float(np.exp(np.log(self._sigma).mean()))
        self._scale = self._sigma / self._step
        self._C = np.eye(n)  # only its upper triangle counts
        self._root = np.eye(n)  # C = R^T R
        self._extremes = (1.0, 1.0)  # the smallest and largest eigenvalue of C, as last computed
        self._p_sigma, self._p_c = np.zeros(n), np.zeros(n)
        self._updates = self._factorized = self._looked = 0
        self._flat_generations, self._stagnant, self._excess = 0, False, 0.0
        self._step_range = arguments.step_range(self.dtype)
        varied = self._varied  # constants of this dimension
        self._longest, self._h_factor = longest_step(varied), (2 + 4 / (varied + 1)) * varied
        if covariance is not None:
            self._begin_with(covariance)
        # the learning rates of mean and covariance, if noisy; with these det C = 1
        self._rates: Rates | None = None
        if self.noisy:
            self._rates = LearningRate(np.zeros(n)), LearningRate(np.zeros((n, n)))

    def _begin_with(self, covariance: ArrayLike) -> None:
        """Set the first distribution: standard deviations become the scale, correlations C."""
        self._C, deviations = covariances.correlations(covariance, self._resting, self.n_params)
        self._scale = self._scale * deviations
        covariances.require_first_steps(self._step * self._scale, self._step_range, self.dtype)
        self._extremes = covariances.eigenvalues(self._C, self._resting)
        if not matrices.cholesky(self._C, self._root):
            raise covariances.not_definite(*self._extremes)

    @property
    def sigma(self) -> float:
        """The overall step size."""
        return self._step

    @property
    def covariance(self) -> Array:
        """The (n, n) matrix of the distribution N(mean, sigma^2 covariance), before bounds."""
        root = self._root * self._scale
        with np.errstate(over="ignore"):  # scales may be huge
            return np.asarray(root.T @ root)

    @property
    def std(self) -> Vector:
        """The standard deviations (n,) of rows, before bounds."""
        return np.asarray(self._step * self._scale * np.sqrt((self._root**2).sum(axis=0)))

    def _overall_sigma(self) -> float:
        return self._step

    def _measures(self) -> dict[str, float]:
        smallest, largest = self._extremes
        return {"condition": largest / smallest if smallest > 0 else math.inf}

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        drawn = self._mean, self._step, self._scale, self._root
        if self._discrete is not None:
            return *drawn, self._discrete.categories.odds
        return *drawn, self._p_sigma, self._updates

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        covariances.stored_snapshot(value, place, scope)

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        limits, variances = arguments.step_range(self.dtype), self._C.diagonal()
        fields.require(self._step_range == limits, f"{place}._step_range", str(limits), self._step_range)
        fields.require((variances > 0).all(), f"{place}._C", "of positive variances", variances)
        with np.errstate(over="ignore", invalid="ignore"):  # a wrong file may overflow
            covariances.require_deviations(self._step * self._scale * np.sqrt(variances), f"{place}._scale")
        covariances.require_root_of(self._C, self._root, place)

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        mean, step, scale, root = snapshot[:4]
        matrices.sample(self._key, ids, mean, step, scale, root, True, out)
        if self._discrete is not None:
            self._discrete.categories.draw(self._key, ids, snapshot[4], out)

    def _update(self, told: Told) -> None:
        n, delay = self.n_params, late.delay(told, self._updates)
        p = recombination.full(len(told.order), self._varied, delay)
        self._updates += 1
        given, mean = told, self._mean
        if self._discrete is not None:
            told, moved = self._discrete.settled(told, p.first_negative, self._mean)
        self._mean, self._p_sigma, self._p_c = self._mean.copy(), self._p_sigma.copy(), self._p_c.copy()
        some_late = delay > 0 or self._excess != 0
        if self._rates is not None:
            self._update_in_part(self._follow(told, p, some_late), p, mean, self._rates)
        else:
            due = self._updates - self._factorized >= p.gap
            C, root = np.empty_like(self._C), np.empty_like(self._C) if due else np.empty((0, 0))
            if some_late:
                step, definite = matrices.adapt(self._follow(told, p, some_late), self._C, C, root)
            else:
                step, definite = matrices.learn(*self._given(told, p), self._C, C, root)
            before, self._C = self._C, C
            self._set_step(step)
            if due:
                self._factorized = self._updates
                self._root = root if definite else self._repair(before)
        if self._discrete is not None:
            self._keep_margins(self._discrete, given, p.weights[: p.first_negative], moved, mean)
        if self._updates - self._looked >= max(n, LEAST_PERIOD):
            self._look()
        self._watch(told)

    def _keep_margins(
        self, discrete: Discrete, told: Told, weights: Vector, moved: NDArray[np.bool_], before: Vector
    ) -> None:
        """Let integers and categories follow; the margins of integers change the scale."""
        self._rest()
        self._scale = self._scale.copy()
        self._follow_discrete(discrete, told, weights, moved, before, self._C.diagonal(), self._scale)

    def _rest(self) -> None:
        """Set the variance of coordinates that rest to 1."""
        resting = self._resting
        self._C[resting, resting] = self._root[resting, resting] = 1.0

    def _given(self, told: Told, p: Parameters) -> tuple[Ranked, Drawn, Paths, Constants]:
        """Return the arguments of an update, which moves the mean and the paths in place."""
        first, outside = p.first_negative, np.empty(0, np.bool_)
        if told.outside is not None:
            first, outside = 0, told.outside[told.order]
        return (
            (told.population, told.order, outside, first),
            (p.weights, self._mean, self._step, self._scale, self._root),
            (self._p_sigma, self._p_c),
            (self._longest, self._h_factor * (1 - (1 - p.c_sigma) ** (2 * self._updates)), p.constants),
        )

    def _follow(self, told: Told, p: Parameters, some_late: bool) -> Update:
        """Move the mean and the paths in place, and return the update of C."""
        given = self._given(told, p)
        if not some_late:
            return matrices.follow(*given)
        _, (_, mean, step, scale, root), (p_sigma, p_c), (_, h_limit, _) = given
        counted, search = (self._updates - 1, self._excess), late.Search(mean, step, scale, root, p_sigma)
        update, self._excess = late.follow(told, p, search, p_c, h_limit, *counted)
        return update

    def _update_in_part(self, update: Update, p: Parameters, mean: Vector, rates: Rates) -> None:
        """Do the share of an update that its learning rates allow; `mean` is the one before."""
        self._rates, C = share(update, p.weights, self._step, self._C, self._root, self._resting, rates)
        (of_mean, _), (before, _) = self._rates, rates
        self._mean = mean + of_mean.eta * (self._mean - mean)
        root = np.empty_like(self._C)
        C_before, self._C = self._C, C
        self._root = root if matrices.cholesky(C, root) else self._repair(C_before)
        self._rest()
        spread = math.exp(float(np.log(self._root.diagonal()).sum() / self._varied))  # (det C)^(1 / 2n)
        self._C /= spread**2  # both are new, so in place
        self._root /= spread
        self._set_step(self._step * spread * (before.eta / of_mean.eta))  # the step-size correction
        if self._widest is not None:  # a larger step size would only yield mirror images
            self._set_step(self._step / max(1.0, float((self.std / self._widest).max())))

    def _set_step(self, step: float) -> None:
        smallest, largest = self._step_range
        self._step = min(max(step, smallest), largest)

    def _repair(self, before: Array) -> Array:
        """Make C positive definite again, and return its root; `before` is C before the update."""
        self._C, root = covariances.repaired(self._C, before)
        self._extremes = covariances.eigenvalues(self._C, self._resting)
        return root

    def _look(self) -> None:
        """Rescale C if its variances differ too much; note its smallest and largest eigenvalue."""
        self._looked = self._updates
        diagonal = self._C.diagonal()
        smallest, largest = float(diagonal.min()), float(diagonal.max())
        # the step size takes over the scale of a huge or tiny C; learning rates keep det C = 1
        if self._rates is None and not 1e-20 < largest < 1e20:
            self._C, self._p_c = self._C / largest, self._p_c / math.sqrt(largest)
            self._set_step(self._step * math.sqrt(largest))
            self._root = self._root / math.sqrt(largest)
        if largest / smallest > 1e8:
            roots = np.sqrt(self._C.diagonal())
            if self._rates is not None:
                roots /= math.exp(float(np.log(roots).mean()))
            self._C, self._p_c = self._C / np.outer(roots, roots), self._p_c / roots
            self._scale = np.clip(self._scale * roots, *SCALES)  # the same distribution
            self._root = self._root / roots
        self._extremes = covariances.eigenvalues(self._C, self._resting)

    # ---------------------------------------------------------------- stopping, as pycma does

    def _watch(self, told: Told) -> None:
        """Note whether the fitness is flat, and whether it stagnates."""
        value, order = told.fitness.item, told.order
        flat = value(order[0]) >= value(order[3 * len(order) // 4])
        self._flat_generations = self._flat_generations + 1 if flat else 0
        if not self.noisy:
            found = stagnation.stagnates(self.history, self.generation - 1, self.tolstagnation, self.maximize)
            self._stagnant = self._stagnant if found is None else found

    def _reasons(self) -> Sequence[Reason]:
        reasons = self._shape_reasons()
        found, tolerances = self._fitness_range, (self.tolfun, self.tolfunhist)
        patient = self._discrete is not None  # different rows may have equal numbers
        reasons += stopping.flat_fitness(self, found, *tolerances, at_once=not patient)
        most = max(self.tolflatfitness, stopping.window(self) if patient else 0)
        if not self.noisy and self._flat_generations > most:
            text = f"the fitness was flat for {self._flat_generations} generations"
            reasons.append(("tolflatfitness", text))
        if self._stagnant and stagnation.counts(self, self.tolstagnation):
            reasons.append(("tolstagnation", "the fitness does not improve any more"))
        if self._updates >= self.maxiter:
            reasons.append(("maxiter", f"there were {self._updates} updates, more than most searches need"))
        return reasons

    def _shape_reasons(self) -> list[Reason]:
        reasons: list[Reason] = []
        smallest, largest = self._extremes
        mean, scale, p_c, C, root = self._mean, self._scale, self._p_c, self._C, self._root
        if self._discrete is not None:  # integers always vary
            reals = self._discrete.reals
            mean, scale, p_c = mean[reals], scale[reals], p_c[reals]
            C, root = C[np.ix_(reals, reals)], root[np.ix_(reals, reals)]
        axis = root[self.generation % len(root)] if len(root) else mean
        widest, longest, coordinate, along_axis = matrices.no_effect(mean, self._step, C, scale, p_c, axis)
        if len(mean) and max(widest, longest) < (least := stopping.least_step(self, self._first_real_step)):
            reasons.append(("tolx", f"step sizes are smaller than {least:g}"))
        if self._step > self._first_step * self.tolupsigma * math.sqrt(largest):
            reasons.append(("tolupsigma", f"the step size has grown to {self._step:g}"))
        if largest > self.tolconditioncov * smallest:
            condition = self._measures()["condition"]
            reasons.append(("tolconditioncov", f"the condition of the covariance is {condition:g}"))
        if coordinate >= 0:
            reasons.append(("noeffectcoord", f"coordinate {coordinate} of the mean no longer changes"))
        if len(mean) and along_axis:
            reasons.append(("noeffectaxis", "the mean no longer changes along an axis"))
        if self.dtype == np.float32:  # the rules above use the mean in float64
            steps = self._step * scale * np.sqrt(C.diagonal())
            if len(mean) and self._engine.without_effect(mean, steps, self.dtype):
                reasons.append(("noeffect", "step sizes are too small to change the mean"))
        return reasons
