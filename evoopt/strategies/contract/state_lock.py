"""A lock between those who read the state of a strategy and those who change its arrays in place.

Readers are `save`, copies and pickles, which may come from a signal handler or another thread.
"""

import os
import threading
from weakref import WeakValueDictionary

from evoopt.types import Array

# Who reads a state holds it meanwhile, and who changes an array of a state in place. It can be taken again by
# the thread that has it, so that a signal handler may read in the middle of a read.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):  # the child of a fork must not wait for threads that it has not
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)

_kept: WeakValueDictionary[int, Array] = WeakValueDictionary()  # arrays that states hold, by id()


def keep(array: Array) -> None:
    """Note that a state which was read holds an array, so that nobody changes the array in place any more."""
    _kept[id(array)] = array


def is_kept(array: Array) -> bool:
    """Whether a state that was read may hold an array."""
    return id(array) in _kept
