"""Ask and tell of CMA-ES: the cost of a generation beside its evaluation.

All contestants minimize the same ellipsoid with the same popsize; ``--large`` takes a large
dimension. Times are means over several cycles of decompositions, in a search that goes on. evosax
computes in float32, which is JAX's default, the others in float64. The floor is the time of BLAS
and LAPACK for the rows, for the update of the covariance, and for a decomposition as often as in
pycma, and the time of NumPy for the normal deviates.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dgemm, dsyrk
from scipy.linalg.lapack import dsyevd

from benchmarks.harness import asktell
from benchmarks.harness.asktell import Start
from benchmarks.harness.memory import Memory, peak
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, race
from benchmarks.harness.search import Array, Loop, Search, ellipsoid, mean_generation
from evoopt.strategies import REGISTRY, SNES, DeepGA
from evoopt.strategies.parts import recombination

DIMS = (2, 10, 40, 100, 400, 1000, 2000)
GAPS = 4  # gaps between decompositions in the generations that are timed together
UNSOLVED = 0.99  # the largest share of the fitness after the first generations
LARGE_D, LARGE_POPSIZE = 100_000, 64
MEASURED = 3  # generations whose memory is measured
LARGEST_D, LARGEST_POPSIZE = 1_000_000, 256
DEEP_POPSIZE, CHUNK, PARENTS = 1000, 50, 20


class Entry(NamedTuple):
    """A contestant: CMA-ES of a library, `lazy` if not every generation decomposes."""

    name: str
    start: Callable[[int, int], Start]  # (popsize, d) -> a start
    packages: tuple[str, ...] = ()
    lazy: bool = False


PEERS = {
    "pycma": Entry("pycma", asktell.pycma, ("cma",), lazy=True),
    "cmaes": Entry("cmaes CMA", partial(asktell.cmaes, "CMA"), ("cmaes",)),
    "fcmaes": Entry("fcmaes ACMA_C", asktell.fcmaes, ("fcmaes",), lazy=True),
    "evosax": Entry("evosax CMA_ES, float32", partial(asktell.evosax, "CMA_ES"), ("evosax",)),
}
LARGE_PEERS = {
    "float64": (
        Entry("pycma, diagonal", partial(asktell.pycma, diagonal=True), ("cma",)),
        Entry("cmaes SepCMA", partial(asktell.cmaes, "SepCMA"), ("cmaes",)),
    ),
    "float32": (
        Entry("evosax Sep_CMA_ES", partial(asktell.evosax, "Sep_CMA_ES"), ("evosax",)),
        Entry("evosax LM_MA_ES", partial(asktell.evosax, "LM_MA_ES"), ("evosax",)),
    ),
}
VECTORS = {  # float64 (d,), that the papers' algorithms keep
    "SepCMAES": lambda d: 4,  # mean, the diagonal of C, p_sigma, p_c
    "LMMAES": lambda d: 2 + _directions(d),  # mean, p_sigma, M
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    dims, peers = ",".join(map(str, DIMS)), ",".join(PEERS)
    parser.add_argument("--dims", type=_dims, default=DIMS, help=f"numbers of parameters; default {dims}")
    parser.add_argument(
        "--peers", type=_peers, default=tuple(PEERS), help=f"peers to compare with; default {peers}"
    )
    parser.add_argument(
        "--large",
        action="store_true",
        help=f"instead, against all: {' and '.join(VECTORS)} with {LARGE_D:,} parameters and popsize "
        f"{LARGE_POPSIZE}, and their peak of memory; the peak of SNES with {LARGEST_D:,} and popsize "
        f"{LARGEST_POPSIZE}, and of DeepGA with popsize {DEEP_POPSIZE}",
    )


def run(args: argparse.Namespace) -> Iterator[Outcome | Memory]:
    if not args.large:
        for d in args.dims:
            yield race(case(d, args.peers), args.seconds, args.threads)
        return
    for name in VECTORS:
        if name not in REGISTRY:
            print(f"\n{name} is skipped: this evoopt does not have it.")
            continue
        for dtype in LARGE_PEERS:
            yield race(large_case(name, dtype), args.seconds, args.threads)
            yield memory(name, dtype)
    yield largest_memory()
    yield deep_memory()


def case(d: int, peers: Sequence[str] = ()) -> Case:
    """Return the case of a full covariance with the default popsize."""
    popsize = 4 + int(3 * math.log(d))
    block = GAPS * math.ceil(gap(popsize, d))
    warm_up = 2 * d // popsize  # then the covariance has full rank: before, decompositions are cheaper
    evoopt = Entry("evoopt CMAES", partial(asktell.evoopt, "CMAES"), lazy=True)
    contestants = [
        _contestant(entry, popsize, d, warm_up, block if entry.lazy else 1)
        for entry in (evoopt, *(PEERS[name] for name in peers))
    ]
    floor = Contestant(
        "floor: a part of pycma's work",
        lambda: Search(partial(floor_loop, popsize, d), popsize, d, warm_up, block),
        read=_warm,
        floor=True,
    )
    title = f"overhead: {d:,} parameters, popsize {popsize}, gap {gap(popsize, d):.3g}"
    return _case(title, [*contestants, floor])


def large_case(name: str, dtype: str) -> Case:
    """Return the case of a strategy without a covariance matrix."""
    warm_up = _directions(LARGE_D)  # then LM-MA-ES uses all of them
    evoopt = Entry(f"evoopt {name}", partial(asktell.evoopt, name, dtype=dtype))
    contestants = [
        _contestant(entry, LARGE_POPSIZE, LARGE_D, warm_up) for entry in (evoopt, *LARGE_PEERS[dtype])
    ]
    return _case(f"overhead: {LARGE_D:,} parameters, popsize {LARGE_POPSIZE}, {dtype}", contestants)


def _contestant(entry: Entry, popsize: int, d: int, warm_up: int, block: int = 1) -> Contestant:
    def prepare() -> Search:
        return Search(entry.start(popsize, d), popsize, d, warm_up, block)

    return Contestant(entry.name, prepare, entry.packages, Search.unsolved)


def _case(title: str, contestants: Sequence[Contestant]) -> Case:
    return Case(title, contestants, float, UNSOLVED, clock=mean_generation)


def gap(popsize: int, d: int) -> float:
    """Return the number of generations from one decomposition of pycma to the next."""
    p = recombination.full(popsize, d)
    return max(1.0, 1 / (10 * d * (p.c_1 + p.c_mu)))


def floor_loop(popsize: int, d: int, seed: int) -> Loop:
    """Return a loop of the necessary work: deviates, rows, update and decomposition.

    The loop finds no optimum. All arrays are in Fortran order, and all routines are scipy's,
    because threads of numpy's BLAS would wait busily for more work.
    """
    rng = np.random.default_rng(seed)
    rate, every, generation = recombination.full(popsize, d).c_mu, gap(popsize, d), 0
    covariance, basis = np.eye(d, order="F"), np.eye(d, order="F")

    def ask() -> Array:
        rows: Array = dgemm(1.0, basis, rng.standard_normal((popsize, d)).T).T
        return rows

    def tell(rows: Array, _: Array) -> None:
        nonlocal covariance, basis, generation
        covariance = dsyrk(rate / popsize, rows.T, 1 - rate, covariance, lower=1, overwrite_c=1)
        generation += 1
        if generation // every > (generation - 1) // every:
            basis = dsyevd(covariance, lower=1)[1]

    return Loop(ask, tell)


def _warm(search: Search) -> float:
    search.unsolved()
    return 0.0


def memory(name: str, dtype: str) -> Memory:
    """Return the memory peak of ask and tell, including rows, after compilation."""
    start = asktell.evoopt(name, LARGE_POPSIZE, LARGE_D, dtype)

    def work() -> None:
        es = start(1)
        rows = np.empty((LARGE_POPSIZE, LARGE_D), dtype)
        for _ in range(MEASURED):
            es.ask(rows)
            es.tell(rows, ellipsoid(rows))

    work()
    needed = 8 * VECTORS[name](LARGE_D) * LARGE_D + np.dtype(dtype).itemsize * LARGE_POPSIZE * LARGE_D
    return Memory(f"memory of {name}: the same in {dtype}, ask(out=rows)", peak(work), needed)


def largest_memory() -> Memory:
    """Return the memory peak of a plain loop of SNES in float32, which needs one population.

    There are two at once, because ``population = es.ask()`` frees the old one after the new one is
    made.
    """

    def work(d: int = LARGEST_D) -> None:
        es = SNES(np.zeros(d, np.float32), 0.1, popsize=LARGEST_POPSIZE, seed=1)
        for _ in range(MEASURED):
            population = es.ask()
            es.tell(population, population[:, 0])

    work(2)  # compiles
    title = f"memory of SNES: {LARGEST_D:,} parameters, popsize {LARGEST_POPSIZE}, float32, ask()"
    return Memory(title, peak(work), 4 * LARGEST_POPSIZE * LARGEST_D)


def deep_memory() -> Memory:
    """Return the memory peak of DeepGA in float32, which needs the weights of its parents.

    Rows are told by number. The chunk of rows that are evaluated at a time is not counted.
    """

    def work(d: int, chunk: Array) -> None:
        es, fitness = (
            DeepGA(np.zeros(d, np.float32), 0.1, popsize=DEEP_POPSIZE, seed=1),
            np.empty(DEEP_POPSIZE),
        )
        for _ in range(MEASURED):
            ids = es.ask_ids()
            for start in range(0, DEEP_POPSIZE, CHUNK):
                part = slice(start, start + CHUNK)
                fitness[part] = es.rows(ids[part], out=chunk)[:, 0]
            es.tell(ids, fitness)

    work(2, np.empty((CHUNK, 2), np.float32))  # compiles
    chunk = np.empty((CHUNK, LARGEST_D), np.float32)
    title = (
        f"memory of DeepGA: {LARGEST_D:,} parameters, popsize {DEEP_POPSIZE}, float32, {CHUNK} rows at a time"
    )
    return Memory(title, peak(partial(work, LARGEST_D, chunk)), 4 * PARENTS * LARGEST_D)


def _directions(d: int) -> int:
    """Return m of LM-MA-ES, the number of direction vectors."""
    return 4 + int(3 * math.log(d))


def _dims(text: str) -> list[int]:
    """Read numbers of parameters such as "2,10"."""
    dims = [int(number) for number in text.split(",")]
    if min(dims) < 2:
        raise argparse.ArgumentTypeError(f"must be numbers from 2, got {text!r}")
    return dims


def _peers(text: str) -> list[str]:
    """Read names of peers such as "pycma,fcmaes"."""
    names = text.split(",")
    if not PEERS.keys() >= set(names):
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(PEERS)}, got {text!r}")
    return names
