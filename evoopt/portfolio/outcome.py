"""The result of a search: its status, whether it is a success, and the message."""

import math
from typing import TYPE_CHECKING

from evoopt.evolve import make_result
from evoopt.portfolio.auto import Portfolio

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

# The status of scipy: 0 for what converged, or found what was asked for; other reasons of a strategy have 3.
_CONVERGED = ("target", "agreed", "tolx", "tolfun", "tolfunhist", "noeffect", "noeffectcoord", "noeffectaxis")
STATUS = dict.fromkeys((*_CONVERGED, "fixed"), 0)
STATUS |= {"max_evaluations": 1, "max_generations": 2, "time_limit": 4, "failed": 5}
STATUS |= {"callback": 99, "interrupted": 130}
OTHER_STATUS = 3


def so_far(portfolio: Portfolio) -> "OptimizeResult":
    """Return the result as far as the search has come, which nobody can call a success yet."""
    budget, strategy = portfolio.budget, portfolio.strategy
    x = portfolio.start.x0 if budget.x is None else budget.x
    return make_result(
        x=x.copy(),
        fun=budget.fun,
        nit=budget.iterations,
        nfev=budget.evaluations,
        method=portfolio.method,
        seed=strategy.seed,
        history=budget.history,
    )


def result_of(portfolio: Portfolio) -> "OptimizeResult":
    """Return the result of a search that is over."""
    result = so_far(portfolio)
    status = min(STATUS.get(name, OTHER_STATUS) for name, _ in portfolio.reasons)
    if status == STATUS["max_evaluations"] and portfolio.converged:
        status = 0  # more evaluations would be for another optimum
    result.success = status == 0 and not math.isnan(result.fun)
    result.status = status
    result.message = "; ".join([*portfolio.story, *(message for _, message in portfolio.reasons)])
    result.stop = portfolio.reasons
    return result
