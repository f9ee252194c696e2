"""Gymnasium environments stepped in this process, or spread over others."""

import multiprocessing
import os
import signal
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from evoopt.arrays import Array

Stepped = tuple[Array, Array, Array]  # observations (k, ...), rewards (k,), whether the episodes ended (k,)
Make = Callable[[], Any]
PATIENCE = 1.0  # seconds that a process has to end by itself


class Environments:
    """Environments with numbers from 0 on, made when they are first needed."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._environments: list[Any] = []

    def reset(self, seeds: Array) -> Array:
        """Begin an episode in the first environments, one for each seed; gives their observations."""
        while len(self._environments) < len(seeds):
            self._environments.append(self._make())
        pairs = zip(self._environments, seeds.tolist(), strict=False)
        return np.array([environment.reset(seed=seed)[0] for environment, seed in pairs])

    def step(self, numbers: Array, actions: Array) -> Stepped:
        """Step the environments of these numbers (k,), each by its own action."""
        observations = []
        rewards, ended = np.empty(len(numbers)), np.empty(len(numbers), np.bool_)
        discrete = actions.ndim == 1 and actions.dtype.kind == "i"
        each = actions.tolist() if discrete else actions  # gymnasium checks numpy's integers at length
        for i, (number, action) in enumerate(zip(numbers.tolist(), each, strict=True)):
            observation, rewards[i], terminated, truncated, _ = self._environments[number].step(action)
            observations.append(observation)
            ended[i] = terminated or truncated
        return np.array(observations), rewards, ended

    def close(self) -> None:
        """Close all environments."""
        while self._environments:
            self._environments.pop().close()


class Workers:
    """The same over processes: environment i lives in process i % n_workers.

    Each step is one message to a process and one back. The processes are spawned, not forked: a fork would
    copy locks that the threads of the kernels hold. They end with this object, whatever happens to it; after
    an exception they may be anywhere, so they are stopped.
    """

    def __init__(self, make: Make, n_workers: int) -> None:
        from gymnasium.vector.utils import CloudpickleWrapper  # noqa: PLC0415  (a lambda will do, too)

        context = multiprocessing.get_context("spawn")
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        self._owner = os.getpid()
        self.close = weakref.finalize(self, _stop, self._connections, self._processes, self._owner)
        try:
            for number in range(n_workers):
                ours, theirs = context.Pipe()
                self._connections.append(ours)
                process = context.Process(
                    target=work, args=(theirs, CloudpickleWrapper(make)), name=f"evoopt-{number}", daemon=True
                )
                process.start()
                self._processes.append(process)
                theirs.close()
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether they run, and are not those of the process that this one was forked from."""
        return self.close.alive and self._owner == os.getpid()

    def reset(self, seeds: Array) -> Array:
        """See `Environments.reset`."""
        owners = np.arange(len(seeds)) % len(self._connections)
        messages = [("reset", (seeds[owners == worker],)) for worker in range(len(self._connections))]
        parts = self._ask(owners, messages)
        return _merge(owners, parts)

    def step(self, numbers: Array, actions: Array) -> Stepped:
        """See `Environments.step`."""
        places, owners = np.divmod(numbers, len(self._connections))
        messages = [
            ("step", (places[owners == worker], actions[owners == worker]))
            for worker in range(len(self._connections))
        ]
        parts = self._ask(owners, messages)
        observations, rewards, ended = (
            _merge(owners, {worker: part[i] for worker, part in parts.items()}) for i in range(3)
        )
        return observations, rewards, ended

    def _ask(self, owners: Array, messages: list[tuple[str, Any]]) -> dict[int, Any]:
        """Send each worker that owns something its message, then gather the answers."""
        busy = np.unique(owners).tolist()
        try:
            for worker in busy:
                with self._living(worker) as connection:
                    connection.send(messages[worker])
            return {worker: self._answer(worker) for worker in busy}
        except BaseException:
            self.close()
            raise

    def _answer(self, worker: int) -> Any:
        with self._living(worker) as connection:
            kind, value = connection.recv()
        if kind == "error":
            raise RuntimeError(
                f"An environment failed in a worker process, whose traceback follows.\n{value}"
            )
        return value

    @contextmanager
    def _living(self, worker: int) -> Iterator[Connection]:
        try:
            yield self._connections[worker]
        except (EOFError, OSError) as error:
            process = self._processes[worker]
            process.join(PATIENCE)
            error.__traceback__ = None  # its frames view a buffer, which Python 3.12 and 3.13 fail to collect
            raise RuntimeError(
                f"Worker process {worker} ended with exit code {process.exitcode} while its environments "
                f"were being stepped; what it wrote to stderr tells why. A script that sets num_workers must "
                f'not call the task when it is imported: do it under if __name__ == "__main__".'
            ) from error


def _merge(owners: Array, parts: dict[int, Array]) -> Array:
    """Put the answers of the workers in the order of their questions."""
    first = next(iter(parts.values()))
    merged = np.empty((len(owners), *first.shape[1:]), first.dtype)
    for worker, part in parts.items():
        merged[owners == worker] = part
    return merged


def _stop(connections: list[Connection], processes: list[Any], owner: int) -> None:
    """End the processes: a closed connection is their sign to end, and who does not follow is stopped."""
    for connection in connections:
        connection.close()
    if os.getpid() != owner:  # this one was forked, and they are its parent's
        return
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def work(connection: Connection, make: Make) -> None:
    """Serve messages until the connection is closed; what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
    environments = Environments(make)
    try:
        while True:
            method, arguments = connection.recv()
            try:
                answer = "done", getattr(environments, method)(*arguments)
            except Exception:
                answer = "error", traceback.format_exc()
            connection.send(answer)
    except (EOFError, OSError):
        environments.close()
