"""Threads that ask and tell one strategy, while others save and look: the run of one thread.

The order in which threads had their turns is noted. One thread that does the same calls in this
order must come to the same state, bit for bit, and each save must be a state on its way.
"""

import copy
import itertools
import pickle
import random
import sys
import threading

import numpy as np

from .runs import KINDS, continued, fitness, make

NAMES = [f"caller {i}" for i in range(8)]  # of the threads
CALLS = 15  # of each thread, for each kind and way
READS = 3  # states that are read while others tell
LONGEST = 120.0  # seconds; threads that run longer hang


def run(count, seed):
    """Let threads make at least so many calls, on each kind of strategy in turn."""
    draw, counts = random.Random(seed), {"threads": 0, "states": 0, "refused": 0, "wrong": 0}
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # seconds, a 500th of the usual ones
    for kind, way in itertools.cycle(itertools.product(KINDS, (by_rows, by_ids))):
        if counts["threads"] >= count:
            break
        crowd = Crowd(make(kind), way, draw)
        crowd.run()
        counts["threads"] += len(crowd.turn.order)
        counts["states"] += len(crowd.states)
        counts["refused"] += crowd.refused
        counts["wrong"] += crowd.is_wrong(make(kind))
    sys.setswitchinterval(before)
    return counts


def by_rows(es):
    """Ask for populations and tell them; yield after each call whether it was refused."""
    while True:
        population = es.ask()
        yield False
        yield is_refused(es.tell, population, fitness(population))


def by_ids(es):
    """Ask for row numbers, make their rows, and tell the numbers; yield after each call as well."""
    while True:
        ids = es.ask_ids()
        yield False
        rows = np.empty((len(ids), es.n_params))
        refused = is_refused(es.rows, ids, rows)
        yield refused
        if not refused:
            yield is_refused(es.tell, ids, fitness(rows))


def is_refused(call, *args):
    """Call; return whether the rows were forgotten, because they are too late for the strategy."""
    try:
        call(*args)
    except ValueError as error:
        if "forgotten" not in str(error) and "were changed or never asked for" not in str(error):
            raise
        return True
    return False


class Noted:
    """A turn that notes which thread has it."""

    def __init__(self, turn):
        self._turn, self.order = turn, []
        self._is_owned = turn._is_owned

    def __enter__(self):
        self._turn.acquire()
        self.order.append(threading.current_thread().name)

    def __exit__(self, *_):
        self._turn.release()


class Crowd:
    """Threads on one strategy, their faults, and the states that were read meanwhile."""

    def __init__(self, es, way, draw):
        self.es, self.way, self._draw = es, way, draw
        self.turn = es._turn = Noted(es._turn)
        self.states, self.faults = [], []
        self.refused = 0
        self._is_over = threading.Event()

    def run(self):
        """Let the threads do their calls, and read states meanwhile."""
        threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in NAMES]
        reader = threading.Thread(target=self._read, daemon=True)
        for thread in (reader, *threads):
            thread.start()
        for thread in threads:
            thread.join(LONGEST)
        self._is_over.set()
        reader.join(LONGEST)
        self.faults += ["a thread hangs" for thread in (reader, *threads) if thread.is_alive()]

    def _work(self):
        try:
            for refused in itertools.islice(self.way(self.es), CALLS):
                self.refused += refused
        except Exception as error:  # any is a finding
            self.faults.append(repr(error))

    def _read(self):
        try:
            while not self._is_over.is_set():
                state = self._draw.choice([pickle.dumps, copy.copy, copy.deepcopy])(self.es)
                if len(self.states) < READS:
                    self.states.append(pickle.loads(state) if isinstance(state, bytes) else state)
                (self.es.stop(), self.es.mean, self.es.sigma, self.es.solution, repr(self.es))
        except Exception as error:
            self.faults.append(repr(error))

    def is_wrong(self, es):
        """Whether a fault was seen, or the same calls on one thread lead to other states."""
        calls = {name: self.way(es) for name in NAMES}
        left = [continued(state) for state in self.states]
        for name in ["", *self.turn.order]:
            if name in calls:
                next(calls[name])
            if left:
                now = continued(es)
                left = [state for state in left if state != now]
        if left or self.faults or continued(es) != continued(self.es):
            print(type(es).__name__, self.way.__name__, self.faults, f"{len(left)} states", file=sys.stderr)
            return True
        return False
