"""The result of a search: its status, whether it is a success, and the message."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evoopt.outcome import CONTRACTED, OTHER_STATUS, Reasons, make_result, message_of, status_of
from evoopt.portfolio.auto import Portfolio

if TYPE_CHECKING:
    from evoopt.result import Result


def so_far(portfolio: Portfolio) -> "Result":
    """Return the result as far as the search has come, which nobody can call a success yet."""
    budget, strategy = portfolio.budget, portfolio.strategy
    x = portfolio.start.x0 if budget.x is None else budget.x
    return make_result(
        **portfolio.start.found(x),
        fun=budget.fun,
        nit=budget.iterations,
        nfev=budget.evaluations,
        method=portfolio.method,
        seed=strategy.seed,
        history=budget.history,
    )


def result_of(portfolio: Portfolio, reasons: Reasons) -> "Result":
    """Return the result of a search that is over."""
    portfolio.budget.close()
    result = so_far(portfolio)
    result.success = portfolio.has_found(reasons) and not math.isnan(result.fun)
    result.status = 0 if result.success else status_of(reasons) or OTHER_STATUS
    result.message = "; ".join([*portfolio.story, message_of(reasons), *_remarks(portfolio, reasons)])
    result.stop = reasons
    return result


def _remarks(portfolio: Portfolio, reasons: Reasons) -> Iterator[str]:
    """Say why a search that ended by itself is no success."""
    if portfolio.ends.noise:
        yield portfolio.ends.noise
    elif dict(reasons).keys() & {"agreed", *CONTRACTED} and not portfolio.has_found(reasons):
        yield "all values were equal" if not portfolio.budget.differs else "a better point was found before"
