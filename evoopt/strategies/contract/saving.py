"""Saving of a strategy as one ``.npz`` file: its arrays, and JSON that refers to them.

The file may hold the state of a task as well: of any object with ``state()``, which returns plain
data, and ``load_state(state)``, unless its attribute ``learns`` is False. The file of a run of
`evolve` has the run's record, too.
"""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt.files import write_npz
from evoopt.strategies.contract.encoding import Encoder
from evoopt.strategies.contract.state import State

FORMAT = 5
SKELETON = "strategy.json"


def learns(task: object) -> bool:
    """Whether a task has a state, be it empty as yet."""
    return hasattr(task, "load_state") and bool(getattr(task, "learns", True))


def state_of(task: Any) -> dict[str, Any] | None:
    """Return the state of a task, None if it learns nothing."""
    return task.state() if learns(task) else None


def save(
    path: str | os.PathLike[str], strategy: State, state: dict[str, Any] | None, record: object = None
) -> None:
    """Write a strategy, the state of a task and the record of a run to exactly `path`."""
    arrays: dict[str, NDArray[Any]] = {}
    encode = Encoder(arrays).encode
    content = {"format": FORMAT, "strategy": encode(strategy), "task": encode(state)}
    if record is not None:
        content["run"] = encode(record)
    arrays[SKELETON] = np.frombuffer(json.dumps(content).encode(), np.uint8)
    write_npz(path, arrays)
