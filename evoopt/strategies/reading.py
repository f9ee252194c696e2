"""The moment at which the state of a strategy is read, and who may change arrays of it in place."""

import os
import threading
from weakref import WeakValueDictionary

from evoopt.arguments import Array

# Held for a moment by whoever reads a state, and by whoever changes an array of one in place. A signal
# handler may read while its own thread does: the lock lets that in.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):  # the child of a fork must not wait for threads that it has not
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)

_kept: WeakValueDictionary[int, Array] = WeakValueDictionary()  # by their ids


def keep(array: Array) -> None:
    """Say that a state which was read holds an array: nobody changes it in place any more."""
    _kept[id(array)] = array


def is_kept(array: Array) -> bool:
    """Whether a state that was read may hold an array."""
    return id(array) in _kept
