"""Results on disk, because they take long; later runs add to them."""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Key = Mapping[str, Any]  # everything that the results depend on, as JSON


def default_folder() -> Path:
    """Return a folder in the user's cache folder, on any platform."""
    from numba.misc.appdirs import AppDirs

    return Path(AppDirs("evoopt", False).user_cache_dir) / "benchmarks"


class Cell:
    """The results under one key: a JSON file of named entries."""

    def __init__(self, folder: Path, key: Key) -> None:
        self.key = dict(key)
        text = json.dumps(self.key, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def read(self) -> dict[str, Any]:
        """Return the entries of the file."""
        try:
            return json.loads(self.path.read_text())["entries"]
        except FileNotFoundError:
            return {}

    def add(self, entries: Mapping[str, Any]) -> None:
        """Add entries to the file, which is whole at any time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        record = {"key": self.key, "entries": self.read() | dict(entries)}
        unfinished = self.path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(record, allow_nan=False))
        unfinished.replace(self.path)


@functools.cache
def evoopt_stamp() -> str:
    """Return a hash of all sources of evoopt."""
    import evoopt

    folder = Path(evoopt.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
