"""A lock between readers of a strategy's state and code that changes its arrays in place.

Readers are `save`, copies and pickles, also in a signal handler or another thread.
"""

import os
import threading
from weakref import WeakValueDictionary

from evoopt.types import Array

# Whoever reads a state, or changes an array of it in place, holds this lock. A thread that holds it
# can take it again, so a signal handler may read in the middle of a read.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):  # a forked child must not wait for threads it lacks
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)

_kept: WeakValueDictionary[int, Array] = WeakValueDictionary()  # arrays that states hold, by id()


def keep(array: Array) -> None:
    """Note that a reader has this array, so that nobody changes it in place any more."""
    _kept[id(array)] = array


def is_kept(array: Array) -> bool:
    """Return whether a reader of a state may have this array."""
    return id(array) in _kept
