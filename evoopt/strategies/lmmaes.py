"""LM-MA-ES: limited memory matrix adaptation, correlations in time and memory n log(n).

Loshchilov, Glasmachers and Beyer 2017, Limited-memory matrix adaptation for large scale black-box
optimization, https://arxiv.org/abs/1705.06693, with its symbols.
"""

import math
import threading
from typing import Any, ClassVar, Unpack

import numpy as np

from evoopt import arguments
from evoopt.devices.cpu import directions
from evoopt.memory import require_memory
from evoopt.spaces.space import MeanLike, PointLike
from evoopt.strategies.contract import fields, state_lock
from evoopt.strategies.contract.epochs import chunks
from evoopt.strategies.contract.fields import Fields, Scope
from evoopt.strategies.contract.ledger import FOREIGN, Ledger
from evoopt.strategies.contract.registry import register
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import recombination
from evoopt.strategies.parts.converging import Converging, ConvergingOptions
from evoopt.strategies.parts.foreign import shortening
from evoopt.types import Array, Ids, Vector

_DIRECTIONS = fields.array("directions", "n_params", dtype="rows", limits=fields.paths)


@register
class LMMAES(Converging):
    """Limited memory matrix adaptation evolution strategy, for many correlated parameters.

    Parameters
    ----------
    mean, sigma, x0, popsize, bounds, maximize, noisy, seed, dtype, target, max_evaluations,
    max_generations, tolx, tolfun
        See `Strategy`; `popsize` is 4 + 3 log(n_params) by default. A `sigma` for each coordinate
        scales that coordinate.
    directions : int, optional
        The number of direction vectors that represent correlations, 4 + 3 log(n_params) by default.
        Each takes the memory of a row.

    Attributes
    ----------
    sigma : ndarray, shape (n_params,)
        Step sizes of the coordinates, before the direction vectors lengthen them.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> import evoopt
    >>> es = evoopt.LMMAES([3.0, -2.0], sigma=1.0, seed=1, target=1e-10)
    >>> while not es.stop():
    ...     population = es.ask()
    ...     es.tell(population, (population.sum(axis=1) ** 2 + 100 * population[:, 0] ** 2))
    >>> bool(abs(es.solution).max() < 1e-3)
    True
    """

    _stored: ClassVar[Fields] = {
        **fields.DISTRIBUTION,
        "_c_d": fields.array("directions"),
        "_M": _DIRECTIONS,
        "_step": fields.optional(
            fields.tupled(fields.VECTOR, fields.array("directions"), fields.array("directions"))
        ),
        "_p_sigma": fields.PATH,
        "_spread": fields.VECTOR,
        "_updates": fields.whole(),
    }

    def __init__(
        self,
        mean: MeanLike,
        sigma: PointLike | None = None,
        *,
        directions: int | None = None,
        **options: Unpack[ConvergingOptions],
    ) -> None:
        super().__init__(mean, sigma, **options)
        n = self.n_params
        if directions is None:
            directions = 4 + int(3 * math.log(n))
        m = arguments.whole("directions", directions, 1)
        advice = "take fewer, by default 4 + 3 log(n_params)"
        require_memory("LMMAES", m * (2 * n * self.dtype.itemsize + 24), f"{m:,} directions", advice)
        self._c_d = _rates(n, m)
        self._p_sigma = np.zeros(n)
        self._spread = self._sigma  # (n,) standard deviations of the rows that were told last
        self._updates = 0
        # Direction vectors (m, n) before the last update, and the data of this update, which
        # _get_ready applies later: an update that fails must leave the direction vectors as they
        # were.
        self._M = np.zeros((m, n), self.dtype)
        self._step: tuple[Vector, Vector, Vector] | None = None

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        rates = _rates(self.n_params, len(self._c_d))
        fields.require(np.allclose(self._c_d, rates, 1e-6, 0), f"{place}._c_d", "its rates", self._c_d)

    # ---------------------------------------------------------------- sampling

    def _get_ready(self, ledger: Ledger) -> None:
        """Apply the update of the direction vectors that `_update` has postponed.

        Many vectors are most of the memory beside the population, so they are changed in place.
        They are copied only if waiting rows of older epochs were drawn with them, or a state that
        was read holds them.
        """
        super()._get_ready(ledger)
        if self._step is not None and self._M.size >= directions.SMALL and not self._waits(ledger):
            # a thread goes on while a signal handler waits for it, and after Ctrl-C
            thread = threading.Thread(target=self._follow_in_place)
            thread.start()
            thread.join()
        self._settle()

    def _waits(self, ledger: Ledger) -> bool:
        """Whether rows that were drawn with the direction vectors wait for their fitness."""
        return any(epoch.snapshot[2] is self._M for epoch in ledger.epochs())

    def _follow_in_place(self) -> None:
        with state_lock.LOCK:
            if self._step is not None and not state_lock.is_kept(self._M):
                directions.follow(self._M, *self._step)
                self._step = None

    def _settle(self) -> None:
        """Apply the postponed update, if there is one, to a copy."""
        with state_lock.LOCK:
            if self._step is None:
                return
            step, decays, gains = self._step
            M, decays, gains = self._M.copy(), decays.copy(), gains.copy()
        directions.follow(M, step, decays, gains)
        vars(self).update(_M=M, _step=None)  # both at once

    def __getstate__(self) -> dict[str, Any]:
        with state_lock.LOCK:
            state = super().__getstate__()
            state_lock.keep(state["_M"])
        return state

    def _snapshot(self, first_id: int) -> tuple[Any, ...]:
        mean, sigma = self._mean.astype(self.dtype, copy=False), self._sigma.astype(self.dtype, copy=False)
        return mean, sigma, self._M, directions.gram(self._M, self._used())

    def _used(self) -> int:
        """Return the number of direction vectors that count, min(t, m)."""
        return min(self._updates, len(self._c_d))

    @staticmethod
    def _stored_snapshot(value: Any, place: str, scope: Scope) -> None:
        gram = fields.array("used", "used", limits=fields.finite)
        kinds = fields.ROW_COORDINATES, fields.ROW_STEPS, _DIRECTIONS, gram
        fields.tupled(*kinds)(value, place, scope)
        fields.require(len(value[3]) <= len(value[2]), place, "of some of its directions", value[3])

    def _sample(self, snapshot: tuple[Any, ...], ids: Ids, out: Array) -> None:
        mean, sigma, M, gram = snapshot
        directions.sample(self._key, ids, mean, sigma, M, gram, self._c_d[: len(gram)], out)

    # ---------------------------------------------------------------- learning

    def _update(self, told: Told) -> None:
        self._settle()  # needed if no row was asked for since the last update
        n, k = self.n_params, len(told.order)
        p = recombination.limited_memory(k, n, len(self._c_d))
        weights = np.empty(k)
        weights[told.order] = p.weights
        shares = np.full(k, 1 / k)
        z_w = self._weighted_deviates(told, weights)
        if told.outside is not None:
            shares[told.outside] = 0.0
        first, second = self._engine.moments(told.population, weights, shares, self._mean)
        self._mean = self._mean + first
        gain = math.sqrt(p.mueff * p.c_sigma * (2 - p.c_sigma))
        self._p_sigma = (1 - p.c_sigma) * self._p_sigma + gain * z_w
        self._step = z_w, 1 - p.c_c, np.sqrt(p.mueff * p.c_c * (2 - p.c_c))
        self._updates += 1
        self._spread = np.sqrt(second)
        change = min(1.0, p.c_sigma / 2 * (float((self._p_sigma**2).sum()) / n - 1))
        smallest, largest = arguments.step_range(self.dtype)
        if self._spread.max() > largest:  # direction vectors must not lengthen sigma beyond its limit
            change = -1.0
        self._sigma = np.clip(self._sigma * math.exp(change), smallest, largest)

    def _weighted_deviates(self, told: Told, weights: Vector) -> Vector:
        """Return sum w z (n,), and reduce `weights`, in place, for rows from outside too far away.

        The deviates of the strategy's own rows, late ones too, are made again from their ids,
        because a row far from 0, rounded to float32, no longer contains its exact deviates. The
        deviates of foreign rows are computed from the rows, by the inverse of the direction
        vectors' map.
        """
        n = self.n_params
        own = weights.copy()
        outside = np.flatnonzero(np.zeros(0) if told.outside is None else told.outside)
        foreign = told.ids == FOREIGN
        own[foreign] = 0.0
        z_w = directions.weighted_noise(self._key, told.ids, own, n)
        rates = self._c_d[: self._used()]
        for places in chunks(outside, n):
            with np.errstate(over="ignore", invalid="ignore"):
                steps = (told.population[places].astype(np.float64) - self._mean) / self._sigma
                directions.whiten(self._M, rates, steps)
                factors = shortening(np.sqrt((steps**2).sum(axis=1)), n)
            weights[places] *= factors
            steps[(factors == 0) | ~foreign[places]] = 0.0  # the first may be NaN
            z_w += (weights[places][:, None] * steps).sum(axis=0)
        return z_w

    def _place_and_steps(self) -> tuple[Vector, Vector]:
        # direction vectors may lengthen sigma many times, so the spread of the rows counts, too
        return self._mean, np.maximum(self._sigma, self._spread)


def _rates(n: int, m: int) -> Vector:
    """Return the learning rates of `m` direction vectors."""
    # a rate of 1, for n = 1, would leave the map without an inverse
    rates: Vector = np.minimum(0.5, 1 / n / 1.5 ** np.arange(m))
    return rates
