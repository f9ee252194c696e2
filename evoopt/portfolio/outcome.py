"""The result of a search: its status, whether it is a success, and the message."""

import math
from typing import TYPE_CHECKING

from evoopt.outcome import STATUS, Reasons, make_result, message_of, status_of
from evoopt.portfolio.auto import Portfolio

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult


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


def result_of(portfolio: Portfolio, reasons: Reasons) -> "OptimizeResult":
    """Return the result of a search that is over."""
    portfolio.budget.close()
    result, status = so_far(portfolio), status_of(reasons)
    if status == STATUS["max_evaluations"] and portfolio.converged:
        status = 0  # more evaluations would be for another optimum
    result.success = status == 0 and not math.isnan(result.fun)
    result.status = status
    result.message = "; ".join([*portfolio.story, message_of(reasons)])
    result.stop = reasons
    return result
