"""All strategies, small instances of them, and short runs."""

import copy
import functools
import pickle

import numpy as np
import pytest

import evoopt
from evoopt.strategies import REGISTRY
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.parts.restarts import Restarts
from helpers import JIT_DISABLED
from helpers.functions import sphere

REGISTERED = {name: cls for name, cls in REGISTRY.items() if cls.__module__.startswith("evoopt.")}
OURS = {name: cls for name, cls in REGISTERED.items() if not issubclass(cls, Restarts)}
ON_DEVICE = {name: cls for name, cls in OURS.items() if cls._computes_on_device}  # others copy rows


def restarted(kind, cls, mean, sigma, **options):
    """Return restarts of a kind around a class, with options of both."""
    names = ("start", "restart_sigma", "max_restarts")
    own = {name: options.pop(name) for name in names if name in options}
    return kind(cls(mean, sigma, **options), **own)


RESTARTED = {
    f"{kind.__name__} of {name}": functools.partial(restarted, kind, cls)
    for kind in (evoopt.IPOP, evoopt.BIPOP)
    for name, cls in OURS.items()
}
# Step sizes that do not adapt must decay, so that a search reaches the optimum.
NEEDS = {"OpenAIES": {"sigma_decay": 0.99}, "DeepGA": {"sigma_decay": 0.99}}
REFUSE_FOREIGN = {evoopt.OpenAIES, evoopt.PGPE, evoopt.DeepGA}  # they learn from a row's noise


def injects(cls):
    """Whether a strategy, or the one inside restarts, learns from foreign rows."""
    return (cls.args[1] if isinstance(cls, functools.partial) else cls) not in REFUSE_FOREIGN


def each(classes):
    """Return the mark of a test that runs with each of the classes."""
    return pytest.mark.parametrize("cls", classes.values(), ids=classes)


def those(classes, condition):
    return {name: cls for name, cls in classes.items() if condition(cls)}


each_registered = pytest.mark.parametrize("name", REGISTERED)
each_strategy = each(OURS)
each_and_its_restarts = each(OURS | RESTARTED)
each_that_injects = each(those(OURS, injects))
each_that_injects_nothing = each(those(OURS, lambda cls: not injects(cls)))
each_that_injects_and_its_restarts = each(those(OURS | RESTARTED, injects))


def needs(cls):
    return NEEDS.get(getattr(cls, "__name__", None), {})


def make(cls, n=4, mean=None, **options):
    few = {"popsize": 6} if JIT_DISABLED else {}
    mean = np.linspace(1.0, 2.0, n) if mean is None else mean
    return cls(mean, 0.5, **({"seed": 7} | few | needs(cls) | options))


def make_registered(name, mean, sigma=0.5, **options):
    cls = REGISTERED[name]
    if issubclass(cls, Restarts):
        cls = functools.partial(restarted, cls, evoopt.SNES)
    return cls(mean, sigma, **{"seed": 1, "popsize": 6, **needs(cls), **options})


def run(es, generations, fitness=sphere):
    for _ in range(generations):
        population = es.ask()
        es.tell(population, fitness(population))
    return es


def fail_at_the_end(es, population, fitness):
    """Tell rows, and fail at the end of the update."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "told", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            es.tell(population, fitness)


def run_until_stopped(es, fitness=sphere, generations=5000):
    """Run until the strategy advises to stop, or for at most so many generations."""
    for _ in range(generations):
        if es.stop():
            break
        run(es, 1, fitness)
    return es


def is_over(es):
    """Whether a run of restarts has ended, so that the next `ask` begins another run."""
    return len(es.ends) > es.restarts


def reasons(es):
    """Return the names of the reasons to stop."""
    return [name for name, _ in es.stop()]


def noise(seed, ids, n, dtype=np.float64):
    """Return the normal deviates (k, n) of rows: the rows of a search from 0 with step size 1."""
    es = evoopt.SNES(np.zeros(n), 1.0, seed=seed, dtype=dtype)
    es.ask_ids(int(max(ids)) + 1)
    return es.rows(ids)


def state(es, tmp_path):
    """Return the state of a strategy as bytes."""
    es.save(tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        return {name: (file[name].dtype, file[name].tobytes()) for name in file.files}


def through_file(es, tmp_path):
    es.save(tmp_path / "run.npz")
    return evoopt.load(tmp_path / "run.npz")


COPIES = {
    "file": through_file,
    "pickle": lambda es, _: pickle.loads(pickle.dumps(es)),
    "deepcopy": lambda es, _: copy.deepcopy(es),
}
