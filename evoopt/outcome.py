"""How a run ended: its reasons, status, message and result, which an exception keeps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoopt.result import Result

Reasons = tuple[tuple[str, str], ...]  # names and messages

# The status of scipy: 0 for a search that converged, or reached its target.
CONTRACTED = frozenset({"tolx", "tolfun", "tolfunhist", "noeffect", "noeffectcoord", "noeffectaxis"})
STATUS = dict.fromkeys(("target", "agreed", *CONTRACTED, "fixed"), 0)
STATUS |= {"max_evaluations": 1, "max_generations": 2, "time_limit": 4, "patience": 5, "exception": 6}
STATUS |= {"callback": 99, "interrupted": 130}
OTHER_STATUS = 3  # the status of other reasons of a strategy
FAILURES = {"nofitness", "interrupted", "exception"}  # reasons that are no normal end


def status_of(reasons: Reasons) -> int:
    """Return the smallest status of the reasons; 0 without reasons."""
    return min((STATUS.get(name, OTHER_STATUS) for name, _ in reasons), default=0)


def message_of(reasons: Reasons) -> str:
    """Return the messages of all reasons in one line."""
    return "; ".join(message for _, message in reasons)


def make_result(**fields: object) -> "Result":
    """Make the result; scipy.optimize would be a third of the time that importing evoopt takes."""
    from evoopt.result import Result  # noqa: PLC0415

    return Result(**fields)


@contextmanager
def keeping(result: Callable[[Reasons], Any]) -> Iterator[None]:
    """Let an exception leave the block as it is, with the result so far as ``error.result``.

    Parameters
    ----------
    result : callable
        ``result(reasons)`` makes the result of a run that ends with these reasons.
    """
    try:
        yield
    except BaseException as error:
        # its class may refuse an assignment
        vars(error)["result"] = result((("exception", _words(error)),))
        raise


def _words(error: BaseException) -> str:
    """Return the name and the text of an exception, as far as its class can make a text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # whatever its own __str__ raises
        return type(error).__name__
