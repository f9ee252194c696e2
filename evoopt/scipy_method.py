"""The strategies as methods of `scipy.optimize.minimize`."""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from evoopt.calls import called
from evoopt.minimize import minimize
from evoopt.portfolio.methods import MethodLike, read_method
from evoopt.portfolio.options import check_names
from evoopt.types import BoundsLike

if TYPE_CHECKING:
    from evoopt.result import Result

DERIVATIVES = ("jac", "hess", "hessp")  # which scipy passes to each method
ARGUMENTS: dict[str, Any] = {
    "workers": 1,
    "integrality": None,
    "checkpoint": None,
}  # of minimize, with their defaults


@called
def scipy_method(name: MethodLike = "auto", **options: object) -> Callable[..., "Result"]:
    """Make a method for `scipy.optimize.minimize`, `basinhopping` and `dual_annealing`.

    Parameters
    ----------
    name : str or class
        A method of `evoopt.minimize`.
    **options
        Options of `evoopt.minimize`, and its arguments ``workers``, ``integrality`` and
        ``checkpoint`` (for one call of `scipy.optimize.minimize`); those that are given to scipy's
        function win.

    Returns
    -------
    callable
        The argument ``method`` of scipy's function, which then returns a result of
        `evoopt.minimize`. Derivatives are not used: there is a RuntimeWarning, as with scipy's own
        methods of this kind. Constraints are refused.

    Raises
    ------
    ValueError
        For an unknown method or option, at once.

    Examples
    --------
    >>> import evoopt
    >>> from scipy.optimize import minimize, rosen
    >>> result = minimize(rosen, [-1.0, 2.0], method=evoopt.scipy_method("cmaes", seed=1), tol=1e-9)
    >>> result.success, result.x.round(4)
    (True, array([1., 1.]))
    """
    check_names(read_method(name), options.keys() - ARGUMENTS.keys())
    return functools.partial(_minimize, name, options)


def _minimize(
    name: MethodLike,
    own_options: dict[str, Any],
    fun: Callable[..., Any],
    x0: ArrayLike,
    *,
    args: object = (),
    bounds: BoundsLike | None = None,
    constraints: Sequence[Any] = (),
    callback: Callable[..., Any] | None = None,
    tol: float | None = None,
    **options: object,
) -> "Result":
    """Minimize a function as scipy calls a user's own method."""
    for word in DERIVATIVES:
        if options.pop(word, None) is not None:
            warnings.warn(f"evoopt's methods use no derivatives ({word}).", RuntimeWarning, stacklevel=3)
    merged = {**own_options, **options}
    own = {word: merged.pop(word, default) for word, default in ARGUMENTS.items()}
    return minimize(fun, x0, args, name, bounds, callback, tol, merged, constraints=constraints, **own)
