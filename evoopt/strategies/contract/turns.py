"""Turns: one thread at a time asks or tells a strategy, and the others wait.

A turn is a lock, because fitness that threads have found should not be lost to a refusal. It is no
part of the state: copies have turns of their own. Readers of the state never wait for one.
"""

import os
import threading
from typing import Any, Protocol
from weakref import WeakSet

from evoopt.strategies.contract.state_lock import LOCK


class Turn(Protocol):
    """A lock that the thread which holds it can take again."""

    def acquire(self, blocking: bool = True) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *error: object) -> None: ...
    def _is_owned(self) -> bool: ...


_all: WeakSet[Any] = WeakSet()  # strategies
_is_reading: Any = LOCK._is_owned  # type: ignore[attr-defined]


def give_turn(strategy: Any) -> None:
    """Give a strategy its lock; `_after_fork` of the strategy is called in forked processes."""
    strategy._turn = threading.RLock()
    _all.add(strategy)


def is_lost(turn: Turn) -> bool:
    """Return whether a fork has left the thread with this turn behind."""
    if not turn.acquire(blocking=False):
        return True
    turn.release()
    return False


def not_nested(turn: Turn) -> Turn:
    """Return a turn to take; raise RuntimeError if this thread has it, or is reading a state.

    Of two calls in one thread, one in the middle of the other, none can wait. A signal handler in
    the middle of a read holds a lock that the thread whose turn it is may wait for.
    """
    if turn._is_owned() or _is_reading():
        raise RuntimeError(
            "ask and tell must begin after the last call has ended, but this thread is in the middle of ask, "
            "tell, a save or a copy; let a signal handler or _update note what to do, and do it afterwards."
        )
    return turn


def to_read(turn: Turn) -> Turn:
    """Return a turn for a call that changes nothing, which may be in the middle of another."""
    return turn if turn._is_owned() else not_nested(turn)


def _after_fork() -> None:
    for strategy in list(_all):
        strategy._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
