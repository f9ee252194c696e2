"""Workers of Dask that are killed in each generation: the same bits, and no row is lost."""

import os
import random
import signal
import threading
import time

import evoopt

from .clusters import POPSIZE, make, record

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
        distributed.LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        for rows, share in ("values", count // 2), ("numbers", count - count // 2):
            es, killer = make(), Killer(cluster, random.Random(f"{rows} {seed}"))
            workers = evoopt.Workers(client.get_executor(), rows=rows)
            killer.start()
            evoopt.evolve(
                es,
                evoopt.Objective(slow),
                executor=workers,
                max_generations=share,
                callback=lambda es, killer=killer: killer.after(es.generation < share),
            )
            expected = make()
            evoopt.evolve(expected, evoopt.Objective(lambda x: float((x**2).sum())), max_generations=share)
            counts["kills"] += killer.kills
            counts["lost"] += share * POPSIZE - es.evaluations
            counts["wrong"] += record(es) != record(expected)
    counts["wrong"] += counts["lost"] + (count - counts["kills"])
    return counts


class Killer:
    """Kills a worker soon after each generation has begun."""

    def __init__(self, cluster, draw):
        self._cluster, self._draw = cluster, draw
        self.kills = 0

    def start(self):
        self._thread = threading.Thread(target=self._kill)
        self._thread.start()

    def after(self, goes_on):
        """Wait for the kill of a generation; begin the next one."""
        self._thread.join()
        if goes_on:
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
