"""Workers of Dask: processes, reached over TCP, that die, hang, drift and join late."""

import asyncio
import contextlib
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, needs_jit

import evoopt
from evoopt.workers import numbers
from evoopt.workers.crew import Crew

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.frameworks, needs_jit]

WORKERS = 2
PATIENCE = 60.0  # seconds after which something hangs
MEAN = np.linspace(1.0, 2.0, 5)
BY_NUMBERS = {
    "SNES": {},
    "SepCMAES": {},
    "OpenAIES": {},
    "PGPE": {},
    "DeepGA": {"parents": 3},
    "CMAES": {},
}
each_way = pytest.mark.parametrize("rows", ["values", "numbers"])


@pytest.fixture(scope="module")
def client():
    from dask import config

    with (
        config.set({"distributed.deploy.lost-worker-timeout": "1h"}),  # a busy machine starts workers slowly
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, protocol="tcp://", dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def executor(client):
    wait_for_workers(client)
    yield client.get_executor()
    wait_until(lambda: not jobs(client))


def wait_for_workers(client, number=WORKERS):
    """Wait until workers are there, and restart when they are killed, which early ones do not."""
    wait_until(lambda: len(client.nthreads()) >= number)
    nannies = client.cluster.workers.values()
    wait_until(lambda: all(nanny.status == distributed.Status.running for nanny in nannies))


def jobs(client):
    """Return the keys of the jobs that wait or run."""

    def undone(dask_scheduler):
        return [key for key, task in dask_scheduler.tasks.items() if task.state not in ("memory", "erred")]

    return client.run_on_scheduler(undone)


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def made(name="SNES", **options):
    return getattr(evoopt, name)(MEAN, 0.5, **{"popsize": 12, "seed": 3, **BY_NUMBERS[name], **options})


def ran(strategy, task, executor=None, generations=6, **options):
    """Run a strategy; return its record and the bits of its next rows."""
    evoopt.evolve(strategy, task, executor=executor, max_generations=generations, **options)
    return repr(strategy.history), strategy.ask().tobytes()


def squares(x):
    return float((x**2).sum())


def first(path):
    """Whether no process has called this with the path before."""
    with contextlib.suppress(FileExistsError):
        Path(path).touch(exist_ok=False)
        return True
    return False


@each_way
@pytest.mark.parametrize("name", BY_NUMBERS)
def test_same_bits(executor, name, rows):
    task = evoopt.Objective(squares)
    assert ran(made(name), task, evoopt.Workers(executor, rows=rows)) == ran(made(name), task)


def slowly(x):
    """Take more time for some rows, so that the answers have another order."""
    time.sleep(0.02 * (x[0] > MEAN[0]))
    return squares(x)


def test_the_order_is_kept(executor):
    task = evoopt.Objective(slowly)
    assert ran(made(), task, evoopt.Workers(executor, chunk=1)) == ran(made(), task)


def test_equal_rows_are_evaluated_separately(executor):
    """Dask takes equal calls for one, also calls of two runs."""
    crews = [Crew(evoopt.Workers(executor, chunk=1), "fun") for _ in range(2)]
    pairs = zip(*(crew.map(lambda row: os.urandom(8), np.zeros((6, 2))) for crew in crews), strict=True)
    assert len({value for pair in pairs for value in pair}) == 12


@each_way
def test_an_exception_has_its_row_and_the_traceback_of_the_worker(executor, rows):
    third = made().ask()[2]

    def fails(x):
        if (x == third).all():
            raise KeyError("the third")
        return squares(x)

    with pytest.raises(KeyError, match="the third") as caught:
        ran(made(), evoopt.Objective(fails), evoopt.Workers(executor, rows=rows))
    notes = "\n".join(caught.value.__notes__)
    assert "Row 2 of the population raised this." in notes
    assert "in fails" in notes
    assert caught.value.result.nfev == 0


def test_functions_of_the_main_script(run_python, client, executor):
    output = run_python(
        """
import sys
import distributed
import evoopt

OPTIONS = {"maxfun": 20, "seed": 1}

class HeightError(Exception):
    pass

def height(x):
    return abs(x).sum()

def fails(x):
    raise HeightError("too high")

if __name__ == "__main__":
    with distributed.Client(sys.argv[1]) as client:
        found = []
        for fun in height, lambda x: height(x):
            result = evoopt.minimize(fun, [3.0], workers=client.get_executor(), options=OPTIONS)
            found.append((result.nfev, result.x.tobytes()))
        result = evoopt.minimize(height, [3.0], options=OPTIONS)
        assert found == [(result.nfev, result.x.tobytes())] * 2
        try:
            evoopt.minimize(fails, [3.0], workers=client.get_executor(), options=OPTIONS)
        except HeightError as error:
            print(error)
""",
        client.scheduler.address,
    )
    assert output == "too high\n"


def at_worker(path, x):
    with path.open("a") as file:
        file.write(f"{distributed.get_worker().address}\n")
    return squares(x)


@each_way
def test_workers_that_the_executor_chooses(client, executor, rows, tmp_path):
    chosen, other = client.nthreads()
    task = evoopt.Objective(partial(at_worker, tmp_path / "places"))
    for workers in (chosen, [chosen], [chosen.partition("://")[2], "none"]):
        some = client.get_executor(workers=workers)
        assert Crew(evoopt.Workers(some), "fun").slots == 1
        assert ran(made(), task, evoopt.Workers(some, rows=rows)) == ran(made(), evoopt.Objective(squares))
    assert set((tmp_path / "places").read_text().split()) == {chosen}
    wait_until(lambda: not client.futures)  # they would be computed again if the worker left
    both = client.get_executor(workers=[chosen, other])
    assert Crew(evoopt.Workers(both), "fun").slots == 2


def test_jobs_that_need_resources():
    """A worker may have fewer places for them than threads."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, resources={"GPU": 2, "room": 7}, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for places, needs in (
            (2, {"GPU": 1}),
            (1, {"GPU": 1, "room": 4}),
            (4, {"room": 1}),
            (1, {"none": 1}),
        ):
            crew = Crew(evoopt.Workers(client.get_executor(resources=needs)), "fun")
            assert crew.slots == places


def test_a_client_that_does_not_wait_is_refused():
    async def main():
        async with distributed.Client(processes=False, asynchronous=True, dashboard_address=":0") as client:
            with pytest.raises(ValueError, match=r"asynchronous=True; make it by Client\(address\)"):
                evoopt.evolve(made(), evoopt.Objective(squares), executor=client.get_executor())

    asyncio.run(main())


@pytest.mark.parametrize("wrap", [lambda executor: executor, partial(evoopt.Workers, chunk=2)])
def test_minimize(executor, wrap):
    results = [
        evoopt.minimize(squares, MEAN, options={"maxfun": 60, "seed": 2}, workers=workers)
        for workers in (1, wrap(executor))
    ]
    assert len({(result.x.tobytes(), result.nfev, result.message) for result in results}) == 1


@each_way
def test_a_worker_is_killed_in_mid_job(executor, rows, tmp_path):
    def dies(x):
        if first(tmp_path / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(x)

    expected = ran(made(), evoopt.Objective(squares))
    assert ran(made(), evoopt.Objective(dies), evoopt.Workers(executor, rows=rows)) == expected
    assert (tmp_path / "killed").exists()


@each_way
def test_the_only_worker_dies_while_it_gets_the_task(rows, tmp_path):
    """Dask would never run a job for a worker that left while there was no other one."""

    class Dies:
        def __call__(self, x):
            return squares(x)

        def __setstate__(self, state):
            if first(tmp_path / "killed"):
                os.kill(os.getpid(), signal.SIGKILL)

        def __getstate__(self):
            return {"its": "state"}

    expected = ran(made(), evoopt.Objective(squares))
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        wait_until(client.nthreads)
        task, workers = evoopt.Objective(Dies()), evoopt.Workers(client.get_executor(), rows=rows)
        assert ran(made(), task, workers) == expected
    assert (tmp_path / "killed").exists()


def test_a_closed_client_is_refused(client):
    with distributed.Client(client.cluster) as other:
        executor = other.get_executor()
    with pytest.raises(ConnectionError, match="client of Dask is closed"):
        ran(made(), evoopt.Objective(squares), executor)


@pytest.fixture
def strict(client):
    """Make the scheduler report a job as soon as it has lost a worker."""

    def allow(failures, dask_scheduler):
        before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, failures
        return before

    before = client.run_on_scheduler(partial(allow, 0))
    yield
    client.run_on_scheduler(partial(allow, before))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("retries", [0, 1])
def test_a_job_that_lost_its_worker_is_sent_again(executor, retries, tmp_path):
    def dies(x):
        if first(tmp_path / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(x)

    expected = ran(made(), evoopt.Objective(squares))
    workers = evoopt.Workers(executor, retries=retries, chunk=12)
    if retries:
        assert ran(made(), evoopt.Objective(dies), workers) == expected
        return
    with pytest.raises(distributed.KilledWorker) as caught:
        ran(made(), evoopt.Objective(dies), workers)
    assert caught.value.__notes__ == ["Rows 0 to 11 got no value at try 1 of 1."]


@each_way
def test_a_worker_that_joins_late(client, executor, rows, tmp_path):
    def leaves_a_trace(x):
        (tmp_path / str(os.getpid())).touch()
        return squares(x)

    old = {str(pid) for pid in client.run(os.getpid).values()}

    def joins(es):
        if es.generation == 2:
            client.cluster.scale(WORKERS + 1)
            wait_for_workers(client, WORKERS + 1)
        return {path.name for path in tmp_path.iterdir()} - old

    def stops(es):
        return bool(joins(es)) or es.generation == 500

    late = made()
    workers = evoopt.Workers(executor, rows=rows, chunk=1)
    try:
        found = ran(late, evoopt.Objective(leaves_a_trace), workers, None, callback=stops)
    finally:
        client.cluster.scale(WORKERS)
    assert 2 < late.generation < 500
    assert found == ran(made(), evoopt.Objective(squares), None, late.generation)


def test_a_scheduler_that_is_lost(client, executor, monkeypatch, tmp_path):
    """The client is closed, but its futures are never done."""

    def waits(x):
        (tmp_path / "begun").touch()
        wait_until((tmp_path / "over").exists)

    def close():
        wait_until((tmp_path / "begun").exists)
        monkeypatch.setattr(client, "status", "closing")

    thread = threading.Thread(target=close)
    thread.start()
    with pytest.raises(ConnectionError, match=r"closed, .* rows .* are lost\. .* by default 30 seconds\."):
        evoopt.evolve(made(), evoopt.Objective(waits), executor=executor)
    (tmp_path / "over").touch()
    thread.join()


FOLLOWS, MARK_OF = numbers.Copy._follows, numbers.mark_of


@each_way
def test_a_scheduler_that_is_lost_while_values_are_on_their_way(client, executor, rows, monkeypatch):
    """Futures of Dask's own executor were never done then."""
    operate, losses = distributed.client.retry_operation, []

    async def loses(*args, keys=None, **options):
        if keys is not None and len(losses) < 2:
            losses.append(keys)
            raise distributed.comm.CommClosedError("the scheduler is restarted")
        return await operate(*args, **({"keys": keys} if keys is not None else {}), **options)

    monkeypatch.setattr(distributed.client, "retry_operation", loses)
    task, workers = evoopt.Objective(squares), evoopt.Workers(executor, rows=rows, chunk=1, retries=2)
    assert ran(made(), task, workers) == ran(made(), task)
    assert len(losses) == 2


def test_a_scheduler_that_is_away_for_a_moment(client, executor, monkeypatch):
    def is_away():
        raise distributed.comm.CommClosedError("the scheduler is restarted")

    def disappears(es):
        monkeypatch.setattr(client, "nthreads", is_away)

    task = evoopt.Objective(squares)
    assert ran(made(), task, executor, callback=disappears) == ran(made(), task)


def follows_wrongly(copy, learned):
    """Learn something else than was told."""
    history = [(fitness[::-1], asked) for fitness, asked in learned.history]
    return FOLLOWS(copy, numbers.Learned(learned.generation, history))


def rounds_otherwise(strategy, ids):
    return MARK_OF(strategy, ids) ^ 1


def replace(follows, mark_of):
    """Let the copies of this process work otherwise."""
    numbers.Copy._follows, numbers.mark_of = follows, mark_of


def restore():
    replace(FOLLOWS, MARK_OF)  # those that this process had when it imported this file


@pytest.mark.parametrize("drift", [(follows_wrongly, MARK_OF), (FOLLOWS, rounds_otherwise)])
def test_a_worker_that_drifted_is_reported_and_gets_rows(client, executor, drift, caplog):
    worker, *_ = client.run(os.getpid)
    client.run(replace, *drift, workers=[worker])
    task = evoopt.Objective(slowly)
    with caplog.at_level(logging.WARNING, "evoopt"):
        found = ran(made(), task, evoopt.Workers(executor, rows="numbers", chunk=2))
    client.run(restore, workers=[worker])
    assert found == ran(made(), task)
    reports = [record.getMessage() for record in caplog.records if record.name.startswith("evoopt")]
    assert reports == [f"the rows of worker {worker} differ from those of this process: it gets rows"]


def hangs(path, x):
    """Hang at the first call, until the test is over."""
    if first(path / "hangs"):
        wait_until((path / "over").exists)
    return squares(x)


@each_way
def test_a_worker_hangs(executor, rows, tmp_path):
    task = evoopt.Objective(partial(hangs, tmp_path))
    workers = evoopt.Workers(executor, rows=rows, timeout=1.0, retries=30, chunk=1)
    try:
        assert ran(made(), task, workers, 3) == ran(made(), evoopt.Objective(squares), None, 3)
    finally:
        (tmp_path / "over").touch()


def test_a_job_that_takes_too_long_at_each_try(executor, tmp_path):
    def hangs_always(x):
        wait_until((tmp_path / "over").exists)

    workers = evoopt.Workers(executor, timeout=0.1, chunk=6)
    try:
        with pytest.raises(TimeoutError, match=r"Rows 0 to 5 .* timeout=0.1 seconds .* 2 of 2 tries"):
            ran(made(), evoopt.Objective(hangs_always), workers)
    finally:
        (tmp_path / "over").touch()


def test_asynchronous_rows_survive_a_killed_worker(executor, tmp_path):
    def dies(x):
        if first(tmp_path / "killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(x)

    es = made()
    ran(es, evoopt.Objective(dies), evoopt.Workers(executor, asynchronous=True), 10)
    assert (tmp_path / "killed").exists()
    assert (es.generation, es.evaluations) == (10, 120)
    assert es.best.fitness < squares(MEAN)


@each_way
def test_ctrl_c_leaves_no_job(client, executor, rows, tmp_path):
    def says_so(x):
        (tmp_path / "begun").touch()
        wait_until((tmp_path / "over").exists)

    def interrupt():
        wait_until((tmp_path / "begun").exists)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    workers = evoopt.Workers(executor, rows=rows, chunk=1)
    result = evoopt.evolve(made(), evoopt.Objective(says_so), executor=workers)
    assert result.stop[0][0] == "interrupted"
    wait_until(lambda: not jobs(client))  # before the jobs can end
    (tmp_path / "over").touch()


@each_way
def test_a_large_task_travels_once_to_each_worker(client, executor, rows, monkeypatch):
    net = evoopt.Network([evoopt.Dense(1)], input_shape=(10,))
    inputs = np.random.default_rng(0).normal(size=(500_000, 10)).astype(np.float32)
    task = evoopt.Supervised(net, inputs, inputs[:, :1], loss="mse")
    sizes = []

    def weighed(send):
        def call(function, *args, **options):
            sizes.append(len(pickle.dumps(args)))
            return send(function, *args, **options)

        return call

    for way in ("submit", "map"):
        monkeypatch.setattr(client, way, weighed(getattr(client, way)))
    make = partial(evoopt.SNES, net.init(seed=0), 0.1, popsize=8, seed=1)
    assert ran(make(), task, evoopt.Workers(executor, rows=rows, chunk=1), 2) == ran(make(), task, None, 2)
    large = [size for size in sizes if size > inputs.nbytes]
    assert len(large) == WORKERS
    assert sum(sizes) - sum(large) < 1e-3 * sum(large)


PRETENDED = {
    "hostname": "echo 127.0.0.1",
    "srun": '"$@" & "$@" & wait',  # two tasks
    "dask": f'exec {sys.executable} -m dask "$@"',
    "python": f'exec {sys.executable} "$@"',
}
MAIN = """
import sys
import distributed
import evoopt

if __name__ == "__main__":
    with distributed.Client(scheduler_file=sys.argv[1]) as client:
        client.wait_for_workers(2)
        es = evoopt.SNES([1.0] * 5, 0.5, popsize=12, seed=3)
        task = evoopt.Objective(lambda x: (x**2).sum())
        evoopt.evolve(es, task, executor=client.get_executor(), max_generations=3)
        print(es.evaluations)
"""


def test_the_script_for_slurm(tmp_path):
    """It runs without SLURM, whose commands are pretended here, and leaves no process."""
    page = (ROOT / "docs" / "guide" / "many_machines.md").read_text()
    (script,) = re.findall(r"```sh\n(#!/bin/bash\n#SBATCH.*?)```", page, re.DOTALL)
    (tmp_path / "main.py").write_text(MAIN)
    for name, command in PRETENDED.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{command}\n")
        path.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_ID": "7",
    }
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = ["bash", "-c", script]  # whose processes hold the streams until the last one ends
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE, check=False, **streams)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "36"
    assert not [*tmp_path.glob("scheduler*")]
