"""The result of a search: its status, whether it is a success, and the message."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evoopt.evolve import make_result
from evoopt.portfolio.auto import CONTRACTED, Portfolio

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

# The status where there is no success; other reasons have 3.
STATUS = {"max_evaluations": 1, "max_generations": 2, "time_limit": 4, "failed": 5}
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
    result.success = portfolio.succeeded and not math.isnan(result.fun)
    failures = (STATUS.get(name, OTHER_STATUS) for name, _ in portfolio.reasons)
    result.status = 0 if result.success else min(failures)
    messages = [*portfolio.story, *(message for _, message in portfolio.reasons), *_remarks(portfolio)]
    result.message = "; ".join(messages)
    result.stop = portfolio.reasons
    return result


def _remarks(portfolio: Portfolio) -> Iterator[str]:
    """Say why a search that ended by itself is no success."""
    if portfolio.ends.noise:
        yield portfolio.ends.noise
    elif dict(portfolio.reasons).keys() & {"agreed", *CONTRACTED} and not portfolio.succeeded:
        yield "all values were equal" if not portfolio.budget.differs else "a better point was found before"
