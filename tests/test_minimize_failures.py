"""Exceptions of functions in `minimize`: they stay unchanged and carry the results so far."""

import csv
import itertools
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool

import numba
import numpy as np
import pytest
from helpers import ROOT, needs_jit
from helpers.minimize import METHODS, Recorder, each_method
from scipy.optimize import rosen

import evoopt

X0 = [-1.2, 1.0, 1.0]


class Two(Exception):  # noqa: N818
    """An exception that cannot be unpickled: its ``args`` are not its constructor's arguments."""

    def __init__(self, number, text):
        super().__init__(f"{number} {text}")
        self.number = number


class Locked(Exception):  # noqa: N818
    """An exception with an attribute and a constructor that cannot be pickled."""

    def __init__(self, number, text):
        super().__init__(f"{number} {text}")
        self.lock = threading.Lock()


class Mute(Exception):  # noqa: N818
    """An exception without a text, and with a ``result`` of its own."""

    result = property(lambda self: "its own")

    def __str__(self):
        raise RuntimeError("no text")


class Exit(BaseException):
    """A BaseException that is no Exception."""


ERRORS = {
    "StopIteration": StopIteration("the last one"),
    "StopAsyncIteration": StopAsyncIteration(),
    "GeneratorExit": GeneratorExit(),
    "SystemExit": SystemExit(3),
    "ValueError": ValueError("a value"),
    "ArithmeticError": ArithmeticError("too", "large"),
    "OSError": FileNotFoundError(2, "No such file or directory", "model.bin"),
    "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
    "KeyError": KeyError("k"),
    "Two": Two(7, "seven"),
    "Locked": Locked(7, "seven"),
    "Exit": Exit("out"),
}


def raises_beyond(x, name):
    """Return Rosenbrock's function; raise where the first coordinate is above -1."""
    if x[0] > -1:
        raise ERRORS[name]
    return rosen(x)


def rows_raise(population, name):
    return np.array([raises_beyond(x, name) for x in population])


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(1) as threads:
        yield threads


def fail(method="auto", fun=raises_beyond, error="ValueError", options=None, **arguments):
    """Minimize a function that raises; return the exception and its result."""
    with pytest.raises(type(ERRORS[error])) as raised:
        evoopt.minimize(
            fun, X0, (error,), method, options={"seed": 1, "sigma": 0.2, **(options or {})}, **arguments
        )
    return raised.value, vars(raised.value).pop("result")


# ---------------------------------------------------------------- exceptions


@pytest.mark.parametrize(
    ("method", "error"),
    [*itertools.product(["auto", "cmaes"], ERRORS), *itertools.product(METHODS, ["StopIteration", "Exit"])],
)
@pytest.mark.parametrize("way", ["serial", "map", "threads", "vectorized"])
def test_exceptions_come_out_as_themselves(method, error, way, threads):
    how = {"map": {"workers": map}, "threads": {"workers": threads.map}, "vectorized": {"vectorized": True}}
    fun = rows_raise if way == "vectorized" else raises_beyond
    found, result = fail(method, fun, error, **how.get(way, {}))
    assert found is ERRORS[error]
    assert result.nfev >= 1
    assert rosen(result.x) == result.fun <= rosen(X0)
    assert (result.success, result.status, result.stop[0][0]) == (False, 6, "exception")
    assert type(found).__name__ in result.message
    assert result.history["evaluations"][-1] == result.nfev
    assert result.history["best_so_far"][-1] == result.fun


@pytest.mark.parametrize("method", ["auto", "cmaes"])
@pytest.mark.parametrize("way", ["serial", "threads"])
def test_an_exception_keeps_what_its_class_has_in_other_ways(method, way, threads):
    def fun(x):
        if x[0] > -1:
            raise Mute
        return rosen(x)

    with pytest.raises(Mute) as raised:
        evoopt.minimize(fun, X0, method=method, **({"workers": threads.map} if way == "threads" else {}))
    assert raised.value.result == "its own"
    result = vars(raised.value)["result"]
    assert result.fun == rosen(result.x)
    assert result.message.endswith("Mute")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_exceptions_come_out_of_processes(method, error, pool):
    found, result = fail(method, error=error, workers=pool.map)
    assert found.args == ERRORS[error].args
    assert str(found) == str(ERRORS[error]) or error == "UnicodeDecodeError"
    assert "raises_beyond" in found.__notes__[0]
    assert rosen(result.x) == result.fun
    assert evoopt.minimize(rosen, X0, workers=pool.map, options={"maxiter": 1}).nit == 1  # it still works


def test_processes_of_its_own():
    found, result = fail("cmaes", error="StopIteration", workers=2)
    assert found.args == ("the last one",)
    assert result.nfev > 1


def raises_a_lock(x):
    raise ArithmeticError("nowhere to be found", threading.Lock())


def test_an_exception_that_no_process_can_have_is_told_in_words(pool):
    with pytest.raises(RuntimeError, match=r"(?s)cannot be pickled.*nowhere to be found"):
        evoopt.minimize(raises_a_lock, X0, workers=pool.map)


def test_exceptions_have_their_causes():
    def fun(x):
        try:
            {}["k"]
        except KeyError as error:
            raise ValueError("no k") from error

    with pytest.raises(ValueError, match="no k") as raised:
        evoopt.minimize(fun, X0)
    assert isinstance(raised.value.__cause__, KeyError)


@each_method
def test_exceptions_of_a_callback_keep_the_result(method):
    def callback(xk):
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError) as raised:
        evoopt.minimize(rosen, X0, method=method, callback=callback, options={"seed": 1})
    assert raised.value.result.nit == 1
    assert raised.value.result.fun <= rosen(X0)


@each_method
def test_a_value_that_is_no_number_keeps_the_result(method):
    fun = Recorder(lambda x: rosen(x) if len(fun.points) < 25 else None)
    with pytest.raises(ValueError, match=r"got None; add the missing return statement\.$") as raised:
        evoopt.minimize(fun, X0, method=method, options={"seed": 1})
    assert raised.value.result.nfev == 24


@each_method
@pytest.mark.parametrize("vectorized", [False, True])
def test_ctrl_c_returns_the_result(method, vectorized):
    def fun(x):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return rosen(x.T)

    calls = []
    result = evoopt.minimize(fun, X0, method=method, options={"seed": 1}, vectorized=vectorized)
    assert (result.status, result.success, result.stop[0][0]) == (130, False, "interrupted")
    assert result.fun == rosen(result.x) == result.history["best_so_far"][-1]
    assert vectorized or result.nfev == 7 == result.history["evaluations"][-1]


@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_ctrl_c_in_a_pool_of_threads_returns_the_result(method):
    """A pool of threads does not replace a dead thread, and waits for its jobs."""

    def fun(x):
        if x[0] > -1:
            raise KeyboardInterrupt
        return rosen(x)

    with ThreadPool(1) as pool:
        arguments = {"workers": pool.map, "options": {"seed": 1}}
        run = ThreadPoolExecutor(1).submit(evoopt.minimize, fun, X0, method=method, **arguments)
        result = run.result(timeout=60)
    assert (result.status, result.fun) == (130, rosen(result.x))


@numba.njit
def compiled(x):
    if x[0] > -1:
        raise StopIteration("compiled")
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@needs_jit
@pytest.mark.parametrize("method", ["auto", "cmaes"])
@pytest.mark.parametrize("n", [1, 4])
def test_compiled_functions_keep_what_each_thread_found(method, n, tmp_path):
    before = evoopt.get_num_threads()
    evoopt.set_num_threads(n)
    options = {"seed": 1, "sigma": 0.2, "popsize": 64, "log": tmp_path / "log.csv"}
    with pytest.raises(StopIteration, match="compiled") as raised:
        evoopt.minimize(compiled, X0, method=method, options=options)
    evoopt.set_num_threads(before)
    rows = read(tmp_path / "log.csv")
    assert len(rows) == raised.value.result.nfev > 1
    for fun, *x in rows:
        assert fun == compiled(np.array(x))


# ---------------------------------------------------------------- the log


def read(path):
    """Return the list (fun, *x) of each line."""
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["evaluation", "fun", *(f"x{i}" for i in range(len(header) - 2))]
    assert [int(line[0]) for line in lines] == list(range(1, len(lines) + 1))
    return [tuple(map(float, line[1:])) for line in lines]


@each_method
def test_the_log_has_every_evaluation(method, tmp_path):
    fun = Recorder()
    evoopt.minimize(
        fun, X0, method=method, options={"seed": 1, "maxfun": 150, "log": os.fspath(tmp_path / "log.csv")}
    )
    assert read(tmp_path / "log.csv") == [
        (value, *x) for x, value in zip(fun.points, fun.values, strict=True)
    ]


@pytest.mark.parametrize("method", METHODS)
def test_the_log_has_what_came_before_an_exception_in_its_batch(method, tmp_path):
    path, fun = tmp_path / "log.csv", Recorder(partial(raises_beyond, name="KeyError"))
    _, result = fail(method, lambda x, error: fun(x), "KeyError", {"log": path})
    assert len(read(path)) == result.nfev == len(fun.values) == len(fun.points) - 1


def test_the_log_is_written_at_once(tmp_path):
    path, lines = tmp_path / "log.csv", []

    def fun(x):
        lines.append(len(path.read_text().splitlines()))
        return rosen(x)

    evoopt.minimize(fun, X0, method="cmaes", options={"log": path, "maxfun": 20})
    assert lines == list(range(1, 21))


def test_a_log_is_never_overwritten(tmp_path):
    path, fun = tmp_path / "log.csv", Recorder()
    path.write_text("of an earlier run")
    with pytest.raises(
        ValueError, match=r"log must be the path of a new file, got .*log\.csv.*remove the file\.$"
    ):
        evoopt.minimize(fun, X0, options={"log": path})
    assert (path.read_text(), fun.points) == ("of an earlier run", [])


# ---------------------------------------------------------------- processes


@pytest.mark.parametrize("args", [(), (lambda: 0,)])
def test_what_cannot_go_to_processes_is_told_before(args):
    fun = raises_beyond if args else lambda x: float(x @ x)
    with pytest.raises(ValueError, match=r"fun must be picklable.*def at the top of a module.*threads\.$"):
        evoopt.minimize(fun, X0, args, workers=2)


SCRIPT = """
import multiprocessing
import evoopt

def fun(x):
    return float((x**2).sum())

def main():
    result = evoopt.minimize(fun, [1.0, 2.0], method="cmaes", workers=2, options={"maxiter": 2, "seed": 1})
    print(result.nfev)

"""


def test_processes_that_are_spawned(tmp_path, run_python):
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT + 'if __name__ == "__main__":\n    multiprocessing.set_start_method("spawn")\n    main()\n'
    )
    assert run_python(str(script), PYTHONPATH=str(ROOT)) == "13\n"


def test_a_script_without_a_guard_gets_a_sentence(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + 'multiprocessing.set_start_method("spawn", force=True)\nmain()\n')
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    error, note = done.stderr.strip().splitlines()[-2:]
    assert error.startswith("concurrent.futures.process.BrokenProcessPool")
    assert 'under if __name__ == "__main__"' in note


@pytest.mark.parametrize("tol", [None, 1e-6])
@pytest.mark.parametrize("method", ["auto", "ipop", "bipop", "cmaes", "ga"])
@pytest.mark.parametrize("nans", [5, 20, 10**9])
def test_a_function_that_is_nan_at_first_or_always(nans, method, tol):
    values = iter(range(10**9))

    def fun(x):
        return math.nan if next(values) < nans else float((x**2).sum())

    result = evoopt.minimize(fun, [1.0, -2.0], tol=tol, method=method, options={"maxfun": 200, "seed": 1})
    assert math.isnan(result.fun) == (nans > 200)
    assert result.success <= (nans < 200)
