"""Workers of Dask that are killed in each generation: the same bits, and no row is lost."""

import os
import random
import signal
import threading
import time

import evoopt

from .clusters import POPSIZE, make, record, undisturbed

WORKERS = 3
ROW = 0.05  # seconds of a row
SOON = 0.1  # seconds; no generation is shorter


def slow(x):
    time.sleep(ROW)
    return float((x**2).sum())


def run(count, seed):
    """Kill a worker in each of so many generations, half of them with row numbers."""
    import dask
    import distributed

    counts = {"kills": 0, "lost": 0, "wrong": 0}
    # a busy machine takes some time to start workers again
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        distributed.LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        for rows, generations in ("values", count // 2), ("numbers", count - count // 2):
            killer = Killer(cluster, random.Random(f"{rows} {seed}"), generations)
            es = attacked(evoopt.Workers(client.get_executor(), rows=rows), killer)
            lost = generations * POPSIZE - es.evaluations
            differs = record(es) != undisturbed(generations)
            counts["kills"] += killer.kills
            counts["lost"] += lost
            counts["wrong"] += lost + differs + (killer.kills < generations)
    return counts


def attacked(workers, killer):
    """Return a strategy after a run whose workers were killed."""
    es = make()
    killer.start()
    evoopt.evolve(
        es,
        evoopt.Objective(slow),
        executor=workers,
        max_generations=killer.generations,
        callback=killer.after,
    )
    return es


class Killer:
    """Kills a worker soon after each generation has begun."""

    def __init__(self, cluster, draw, generations):
        self._cluster, self._draw, self.generations = cluster, draw, generations
        self.kills = 0

    def start(self):
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def after(self, es):
        """Wait for the kill of a generation; begin the next one."""
        self._thread.join()
        if es.generation < self.generations:
            self.start()

    def _kill(self):
        time.sleep(self._draw.uniform(0, SOON))
        while not (pids := self._running()):
            time.sleep(0.01)
        os.kill(self._draw.choice(pids), signal.SIGKILL)
        self.kills += 1

    def _running(self):
        """Return the processes of workers that work, and that their nannies start again."""
        nannies = [nanny for nanny in self._cluster.workers.values() if nanny.status.name == "running"]
        return [nanny.pid for nanny in nannies if nanny.pid]
