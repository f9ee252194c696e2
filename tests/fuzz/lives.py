"""Lives of strategies: steps that ask, tell, save, load and copy, with wrong ones in between."""

import random
from collections.abc import Iterator

from .spaces import SEARCHES
from .strategies import CLASSES, COMMON
from .values import VALUES

STEPS = [
    "population = es.ask()",
    "es.tell(population, judge(population))",
    "es.tell(population, -judge(population))",
    "es.tell(population[::-1], judge(population[::-1]))",
    "es.tell(population[:3], judge(population[:3]))",
    "es.tell(ids, np.arange(len(ids)))",
    "es.tell(ids[::2], range(len(ids[::2])))",
    "es.tell(population, np.full(len(population), np.nan))",
    "es.tell(population, np.full(len(population), np.inf))",
    "es.tell(population, np.where(np.arange(len(population)) % 2, np.nan, 1.0))",
    "es.tell(population, np.zeros(len(population)))",
    "es.tell(population + 0.1, judge(population))",
    "es.tell(np.concatenate([population, population]), np.arange(2 * len(population)))",
    "es.tell(np.ones((2, 3)), [1.0, 2.0])",
    "es.tell([[0.01, 2, 1], [0.1, 8, 2]], [1.0, 2.0])",
    "population[0] = 0.25",
    "population[:] = np.nan",
    "ids = es.ask_ids()",
    "ids = es.ask_ids(3)",
    "ids = es.ask_ids(1)",
    "population = es.rows(ids)",
    "population = es.rows(ids[::-1])",
    "ids = ids + np.uint64(1)",
    "reasons = es.stop()",
    "es.save(FOLDER / 'es.npz')",
    "es = evoopt.load(FOLDER / 'es.npz')",
    "es = pickle.loads(pickle.dumps(es))",
    "es = copy.deepcopy(es)",
    "other, es = es, copy.copy(es)",
    "es.ask(out=population)",
    "es.rows(ids, out=population[: len(ids)])",
    "run = evoopt.evolve(es, judge, max_generations=es.generation + 2)",
    "run = evoopt.evolve(es, raises, max_generations=es.generation + 2)",
    "run = evoopt.evolve(es, judge, max_generations=es.generation + 2, chunk_size=3)",
    "es.best, es.mean, es.sigma, es.solution, es.history, repr(es)",
]
WRONG = [
    "es.tell(population, wrong)",
    "es.tell(wrong, judge(population))",
    "es.tell(ids, wrong)",
    "es.rows(wrong)",
    "es.ask(wrong)",
    "es.ask_ids(wrong)",
    "es.save(wrong)",
]
ENDS = [
    "population = es.ask()",
    "assert population.shape == (es.popsize, 3) and np.isfinite(population).all()",
    "es.tell(population, judge(population))",
    "assert np.isfinite(es.mean).all() and np.isfinite(es.sigma).all()",
]


def life(generator: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the kinds and texts of lines."""
    is_in_space = generator.random() < 0.3
    name = generator.choice([*SEARCHES, "IPOP", "BIPOP"] if is_in_space else [*CLASSES])
    known = ["noisy", "dtype", "max_generations", *([] if is_in_space else ["bounds"])]
    options = {option: COMMON[option] for option in known if generator.random() < 0.3}
    options |= {"space": "SPACE"} if is_in_space else {}
    given = ", ".join(f"{option}={value}" for option, value in options.items())
    yield "setup", f"es = started(evoopt.{name}, {generator.randrange(3)}, {given})"
    yield "setup", "ids = es.ask_ids()"
    yield "setup", "population = es.ask()"
    for _ in range(generator.randrange(2, 12)):
        wrong = generator.random() < 0.25
        if wrong:
            yield "value", f"wrong = {generator.choice(VALUES)}"
        yield "step", generator.choice(WRONG if wrong else STEPS)
    yield from (("step", text) for text in ENDS)
