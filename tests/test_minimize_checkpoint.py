"""`minimize(checkpoint=)`: the same call goes on from a file, bit for bit."""

import functools
import json
import math
import os
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import scipy.optimize
from helpers import needs_jit
from helpers.minimize import each_method
from scipy.optimize import rosen

import evoopt
from evoopt.portfolio.header import header_of
from evoopt.portfolio.journal import Journal
from evoopt.portfolio.methods import read_method
from evoopt.portfolio.start import read_start

X0 = [-1.2, 1.0, 1.0]
SPACE = evoopt.Space(
    rate=evoopt.Real(1e-4, 1, log=True), size=evoopt.Integer(1, 9), kind=evoopt.Choice("a", "b")
)


class Counted:
    """A function that counts its calls, and does something else at one of them."""

    def __init__(self, fun=rosen, at=0, act=None):
        self.fun, self.at, self.act, self.calls = fun, at, act, 0

    def __call__(self, x, *args):
        self.calls += 1
        return self.act(x) if self.calls == self.at else self.fun(x, *args)


def cost(values):
    return abs(math.log10(values["rate"]) + 2) + abs(values["size"] - 4) + (values["kind"] == "a")


def raises(error):
    def act(x):
        raise error

    return act


def bits(result):
    """Return all of a result; as text NaN equals NaN, and a float is exact."""
    return {name: value.tobytes() if name == "x" else repr(value) for name, value in result.items()}


def minimize(path, fun=None, x0=X0, maxfun=40, seed=1, method="auto", **arguments):
    options = {"maxfun": maxfun, "seed": seed, "sigma": 0.3, **arguments.pop("options", {})}
    return evoopt.minimize(fun or Counted(), x0, method=method, options=options, checkpoint=path, **arguments)


def records(path):
    """Return where records begin, and their size."""
    lines = path.read_bytes().split(b"\n", 2)
    n = json.loads(lines[1][9:])["n"]
    return len(lines[0]) + len(lines[1]) + 2, 8 * n + 20


def cut(path, to, size):
    to.write_bytes(path.read_bytes()[:size])
    return to


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.log"


@pytest.fixture(autouse=True)
def synced(monkeypatch):
    """Record the waits for the disk, which may be busy, in place of waiting."""
    found = []
    monkeypatch.setattr(os, "fsync", found.append)
    return found


# ---------------------------------------------------------------- killed anywhere


@each_method
def test_each_method_goes_on_from_any_evaluation(method, path, tmp_path):
    whole = minimize(path, method=method)
    start, size = records(path)
    known = (path.stat().st_size - start) // size
    assert bits(whole) == bits(minimize(None, method=method))
    assert known == whole.nfev
    for k in range(0, known + 1, 1 if method == "auto" else 7):
        part, fun = cut(path, tmp_path / "part.log", start + k * size), Counted()
        assert bits(minimize(part, fun, method=method)) == bits(whole)
        assert fun.calls == known - k
        assert part.read_bytes() == path.read_bytes()


def test_an_incomplete_record_is_cut_off(path, tmp_path):
    whole = minimize(path)
    start, size = records(path)
    for end in range(start + 10 * size, start + 11 * size + 1):
        fun = Counted()
        part = cut(path, tmp_path / "part.log", end)
        assert bits(minimize(part, fun)) == bits(whole)
        assert fun.calls == 30 - (end == start + 11 * size)
        assert part.read_bytes() == path.read_bytes()


def test_an_incomplete_header_is_written_again(path, tmp_path):
    whole = minimize(path, maxfun=5)
    start, _ = records(path)
    for end in range(0, start, 5):
        part = cut(path, tmp_path / "part.log", end)
        assert bits(minimize(part, maxfun=5)) == bits(whole)
        assert part.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("lost", [1, 100, 10_000])
def test_zeros_that_a_loss_of_power_leaves_are_cut_off(lost, path):
    whole = minimize(path)
    start, size = records(path)
    path.write_bytes(path.read_bytes()[: start + 20 * size + 7] + bytes(lost))
    fun = Counted()
    assert bits(minimize(path, fun)) == bits(whole)
    assert fun.calls == 20


@pytest.mark.parametrize(
    ("x0", "arguments"),
    [
        (None, {"fun": Counted(cost), "bounds": SPACE, "method": "cmaes"}),
        (None, {"fun": Counted(cost), "bounds": SPACE, "options": {"sigma": None}}),
        (X0, {"bounds": [(-5, 5)] * 3, "integrality": [0, 1, 0]}),
        (X0, {"options": {"noisy": True}, "method": "cmaes"}),
        (X0, {"options": {"noisy": True, "dtype": np.float32}, "method": "snes"}),
        (X0, {"fun": Counted(lambda x: math.nan if x[0] < -1.2 else math.inf if x[1] > 1.2 else rosen(x))}),
        (X0, {"fun": Counted(lambda x: -math.inf if x[2] > 1.3 else -0.0 * x[1])}),
        (X0, {"fun": lambda rows: rosen(rows.T), "vectorized": True, "method": "ipop"}),
        (X0, {"fun": numba.njit(lambda x: np.sum(x**4))}),
        ([0.5] * 120, {"maxfun": 610}),  # L-BFGS-B
        ([3.0], {"tol": 1e-3, "callback": lambda xk: xk[0] < 2}),
    ],
)
def test_each_kind_of_search_goes_on(x0, arguments, path, tmp_path):
    whole = minimize(path, x0=x0, **arguments)
    assert bits(whole) == bits(minimize(None, x0=x0, **arguments))
    start, size = records(path)
    for k in range(0, whole.nfev + 1, 1 + whole.nfev // 9):
        part = cut(path, tmp_path / "part.log", start + k * size)
        assert bits(minimize(part, x0=x0, **arguments)) == bits(whole)


def test_worker_processes_go_on(path):
    whole = minimize(path, rosen, method="cmaes", workers=2)
    start, size = records(path)
    cut(path, path, start + 10 * size + 3)
    assert bits(minimize(path, rosen, method="cmaes", workers=2)) == bits(whole)
    assert bits(minimize(path, rosen, method="cmaes")) == bits(whole)


def test_the_place_of_a_row_is_the_one_in_its_population(path):
    """The first call ends in the middle of a generation, whose other rows the second one has."""
    run = functools.partial(minimize, path, method="cmaes", maxfun=100, options={"popsize": 8})
    fun = Counted(at=1 + 3 + 1, act=raises(KeyboardInterrupt()))  # x0 is the first evaluation
    assert run(fun).nfev == 1 + 3
    with ThreadPoolExecutor(1) as executor, pytest.raises(ArithmeticError) as raised:
        run(Counted(at=4, act=raises(ArithmeticError())), workers=executor)
    assert raised.value.__notes__ == ["Row 6 of the population raised this."]


def test_values_may_come_in_any_order(path):
    header = header_of(rosen, read_method("cmaes"), read_start(X0, None, None), 1, 100, None, {})
    rows, asked = np.arange(12.0).reshape(4, 3), []

    def backward(rows, places):
        asked.append(len(rows))
        for i in reversed(range(len(rows))):
            yield [(i, float(rows[i].sum()))]

    for known in range(5):
        journal = Journal(path)
        with journal.opened(header):
            values = journal.each(backward, rows[:3] if known == 4 else rows)
            found = dict(next(values)[-1:] if known == 0 else [pair for pairs in values for pair in pairs])
            values.close()
        if known:
            assert found == {i: rows[i].sum() for i in range(3 if known == 4 else 4)}
    assert asked == [4, 3]


# ---------------------------------------------------------------- interrupted in other ways


@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_an_exception_and_ctrl_c_lose_nothing(method, path):
    whole = minimize(None, method=method)
    with pytest.raises(ArithmeticError) as raised:
        minimize(path, Counted(at=13, act=raises(ArithmeticError())), method=method)
    assert raised.value.result.nfev == 12
    stopped = minimize(path, Counted(at=10, act=raises(KeyboardInterrupt())), method=method)
    assert (stopped.status, stopped.nfev) == (130, 21)
    fun = Counted()
    assert bits(minimize(path, fun, method=method)) == bits(whole)
    assert fun.calls == 40 - 21


@needs_jit
def test_rows_that_threads_evaluated_before_an_exception_are_known(path):
    @numba.njit
    def fun(x, limit):
        if x[0] > limit:
            raise ArithmeticError
        return np.sum(x**2)

    with pytest.raises(ArithmeticError) as raised:
        minimize(path, fun, args=(-1.1,), method="cmaes", options={"popsize": 40}, maxfun=200)
    start, size = records(path)
    assert (path.stat().st_size - start) // size == raised.value.result.nfev
    whole = minimize(None, fun, args=(9.0,), method="cmaes", options={"popsize": 40}, maxfun=200)
    assert bits(
        minimize(path, fun, args=(9.0,), method="cmaes", options={"popsize": 40}, maxfun=200)
    ) == bits(whole)


def test_the_end_of_a_run_is_known(path):
    options = {"maxfun": 10_000, "target": None}
    whole = minimize(path, options=options)
    assert whole.success
    assert bits(minimize(path, Counted(raises(ArithmeticError())), options=options)) == bits(whole)


def test_a_seed_that_was_drawn_is_used_again(path):
    first = minimize(path, seed=None, maxfun=20)
    again = minimize(path, seed=None, maxfun=60)
    assert again.seed == first.seed
    assert bits(again) == bits(minimize(None, seed=first.seed, maxfun=60))


def test_the_callback_sees_all_iterations_again(path):
    first, again = [], []
    minimize(path, callback=lambda xk: first.append(xk.tobytes()))
    minimize(path, callback=lambda xk: again.append(xk.tobytes()))
    assert first == again != []


# ---------------------------------------------------------------- limits


@each_method
@pytest.mark.parametrize("noisy", [False, True])
def test_limits_may_change(method, noisy, path):
    if noisy and method == "bipop":
        pytest.skip("BIPOP takes no noise")
    options = {"noisy": True} if noisy else {}
    for limits in (
        {"maxfun": 25},
        {"maxiter": 2},
        {"maxfun": 47},
        {"maxfun": 30},
        {"target": 5.0},
        {"maxfun": 60},
    ):
        given = {"method": method, "options": {**options, **limits}, "maxfun": 60}
        expected = bits(minimize(None, **given))
        for fun in (None, Counted(raises(ArithmeticError()))):  # the second call finds all in the file
            assert bits(minimize(path, fun, **given)) == expected, limits
    assert minimize(path, **given).nfev >= 59


def test_a_mixed_search_plans_with_the_first_limit(path):
    given = {"fun": Counted(cost), "x0": None, "bounds": SPACE, "options": {"sigma": None, "exhaust": True}}
    first = minimize(path, maxfun=700, **given)
    more = minimize(path, maxfun=1500, **given)
    assert more.nfev == 1500
    assert first.message.split(";")[0] == more.message.split(";")[0]


def test_the_time_limit_is_for_new_evaluations(path):
    minimize(path, maxfun=20)
    result = minimize(path, options={"time_limit": 0})
    assert (result.status, result.nfev) == (4, 21)


def test_the_last_evaluation_of_a_noisy_search_may_exceed_the_time(path):
    slow = Counted(at=14, act=lambda x: time.sleep(0.3) or rosen(x))
    result = minimize(path, slow, maxfun=14, method="cmaes", options={"noisy": True, "time_limit": 0.25})
    assert result.nfev <= 14
    assert np.isfinite(result.fun)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "cmaes"}, ["method = auto", "got CMAES"]),
        ({"x0": [1.0, 2.0]}, ["n = 3", "got 2"]),
        ({"x0": [1.0, 2.0, 3.0]}, ["x0 = [-1.2, 1.0, 1.0]", "got [1.0, 2.0, 3.0]"]),
        ({"options": {"sigma": 0.5}}, ["sigma = [0.3, 0.3, 0.3]", "got [0.5, 0.5, 0.5]"]),
        ({"bounds": [(-5, 5)] * 3}, ["bounds = None", "got [[-5.0, 5.0]"]),
        ({"bounds": [(-5, 5)] * 3, "integrality": 1}, ["space = None", "got Space("]),
        ({"tol": 1e-3}, ["tol = None", "got 0.001"]),
        ({"seed": 2}, ["seed = 1", "got 2"]),
        ({"options": {"popsize": 20}}, ["popsize = None", "got 20"]),
        ({"fun": rosen}, ["fun = Counted", "got rosen"]),
    ],
)
def test_other_settings_are_refused(changed, words, path):
    minimize(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="checkpoint must be the file of this search") as raised:
        minimize(path, **changed)
    assert all(word in str(raised.value) for word in words), raised.value
    assert path.read_bytes() == before


def test_another_point_is_refused(path):
    """The value of a record is another one, so that the search comes to other points."""
    minimize(path)
    start, size = records(path)
    data = bytearray(path.read_bytes())
    place = start + 4 * size
    struct.pack_into("<d", data, place + size - 12, -1e9)
    struct.pack_into(
        "<I", data, place + size - 4, zlib.crc32(data[place : place + size - 4], zlib.crc32(data[:start]))
    )
    path.write_bytes(data)
    fun = Counted()
    with pytest.raises(
        ValueError, match=r'but evaluation \d+ of ".*run.log" was at x\[\d\] = .*, got .* numpy'
    ) as raised:
        minimize(path, fun)
    assert raised.value.result.nfev > 4
    assert fun.calls == 0
    assert path.read_bytes() == data


@pytest.mark.parametrize("place", [0, 3, 40, -200, -60])
def test_damage_is_refused(place, path):
    whole = minimize(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="checkpoint") as raised:
        minimize(path)
    assert path.read_bytes() == data
    if place < 0:
        good = int(str(raised.value).rsplit(" bytes", 1)[0].split()[-1])
        assert f"damaged in evaluation {40 + place // 44 + 1};" in str(raised.value)
        assert bits(minimize(cut(path, path, good))) == bits(whole)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\3\4 a run of evolve", "something else"),
        (b"evoopt minimize, format 2\n{}\n", "of another version of evoopt"),
        (b"\0" * 100, "something else"),
    ],
)
def test_other_files_are_refused_and_stay(content, words, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'checkpoint must be a file of minimize.*"{path}" is {words}'):
        minimize(path)
    assert path.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes and no locks of this kind")
def test_pipes_and_files_in_use_are_refused(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="checkpoint must be a file, or a new one"):
        minimize(tmp_path / "pipe")
    minimize(path)
    holds = f"import fcntl; f = open({str(path)!r}, 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    command = [sys.executable, "-c", holds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match="checkpoint must be a file that no other process writes"):
            minimize(path)
        other.stdin.close()
    minimize(path)


def test_what_is_no_path_is_refused(tmp_path):
    with pytest.raises(ValueError, match="checkpoint must be the path of a file"):
        minimize(3)
    with pytest.raises(FileNotFoundError):
        minimize(tmp_path / "no" / "run.log")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_keeps_the_result_and_the_file(path):
    import resource

    whole = minimize(None)
    minimize(path, Counted(at=2, act=raises(KeyboardInterrupt())))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 500, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            minimize(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.result.nfev == 1 + 500 // 44
    fun = Counted()
    assert bits(minimize(path, fun)) == bits(whole)
    assert fun.calls == 40 - 12


# ---------------------------------------------------------------- beside it


@pytest.mark.parametrize("noisy", [False, True])
def test_the_option_log_goes_on(noisy, path, tmp_path):
    whole, csv = tmp_path / "whole.csv", tmp_path / "log.csv"
    run = functools.partial(minimize, method="cmaes", maxfun=30)
    run(None, options={"log": whole, "noisy": noisy})
    run(path, Counted(at=15, act=raises(KeyboardInterrupt())), options={"log": csv, "noisy": noisy})
    assert csv.read_bytes().count(b"\n") == 15
    for size in (None, -3, 100, 40, 3, 0):
        csv.write_bytes(csv.read_bytes()[:size])
        run(path, options={"log": csv, "noisy": noisy})
        assert csv.read_bytes() == whole.read_bytes()
    csv.unlink()
    run(path, options={"log": csv, "noisy": noisy})
    assert csv.read_bytes() == whole.read_bytes()
    run(path, maxfun=20, options={"log": csv, "noisy": noisy})
    run(path, options={"log": csv, "noisy": noisy})
    assert csv.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_the_function_may_change_the_folder(method, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    log = evoopt.CSVLogger("history.csv")

    def fun(x):
        os.chdir(tmp_path / "other")
        return rosen(x)

    result = minimize("run.log", fun, method=method, callback=log, options={"log": "log.csv"})
    assert os.listdir() == []
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + result.nfev
    assert (tmp_path / "history.csv").exists()
    again = minimize(tmp_path / "run.log", fun, method=method)
    assert bits(again) == bits(result)


def test_the_log_of_another_run_is_refused_and_stays(path, tmp_path):
    csv = tmp_path / "log.csv"
    minimize(None, seed=2, method="cmaes", options={"log": csv})
    before = csv.read_bytes()
    with pytest.raises(ValueError, match="log must be the path of a new file"):
        minimize(path, method="cmaes", options={"log": csv})
    assert not path.exists()
    minimize(path, method="cmaes")
    with pytest.raises(ValueError, match=r"log must be the file of the same search.* in place of b'2,"):
        minimize(path, method="cmaes", options={"log": csv})
    assert csv.read_bytes() == before


def test_the_disk_is_waited_for_at_the_end_and_each_second(path, synced, monkeypatch):
    minimize(path)
    assert len(synced) == 2  # the file and its folder
    minimize(path)
    assert len(synced) == 2
    monkeypatch.setattr("evoopt.portfolio.records.SYNC", 0.0)
    monkeypatch.setattr("evoopt.portfolio.records.SHARE", math.inf)
    minimize(path, maxfun=50)
    assert len(synced) == 12


def test_scipy_method_takes_it(path):
    method = evoopt.scipy_method("cmaes", seed=1, maxfun=40, checkpoint=path)
    whole = scipy.optimize.minimize(Counted(), X0, method=method)
    fun = Counted()
    assert bits(scipy.optimize.minimize(fun, X0, method=method)) == bits(whole)
    assert fun.calls == 0


def test_threads_evaluate(path):
    with ThreadPoolExecutor(2) as pool:
        whole = minimize(path, method="cmaes", workers=pool.map)
    assert bits(minimize(path, Counted(raises(ArithmeticError())), method="cmaes")) == bits(whole)
