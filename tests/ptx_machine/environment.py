"""The environment of a program on the machine: its folder, and the variables that name it."""

import os
import tempfile
from pathlib import Path

from .build import HERE, build_driver, version

SITECUSTOMIZE = f"""import sys
sys.path.insert(0, {str(HERE.parent)!r})
from {HERE.name} import hooks
sys.path.remove({str(HERE.parent)!r})
hooks.install()
"""


def make_folder() -> Path:
    """Make the folder of this version of the machine, with its driver, if it is not there."""
    usual = Path(tempfile.gettempdir()) / f"ptx-machine-{os.getuid()}"
    parent = Path(os.environ.get("PTX_FOLDER", usual))
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if parent.stat().st_uid != os.getuid():  # another owner's code would run
        raise PermissionError(
            f"{parent} must belong to you, but it belongs to somebody else; set PTX_FOLDER."
        )
    folder = parent / version()
    folder.mkdir(exist_ok=True)
    build_driver(folder)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return folder


def environment(folder: Path, log: Path, **options: str) -> dict[str, str]:
    """Return the variables for a program; `options` are variables of the driver."""

    def first(name: str) -> str:
        return os.pathsep.join(filter(None, [str(folder), os.environ.get(name)]))

    return {
        **os.environ,
        **options,
        "PTX_FOLDER": str(folder),
        "PTX_LOG": str(log),
        "PYTHONPATH": first("PYTHONPATH"),
        "LD_LIBRARY_PATH": first("LD_LIBRARY_PATH"),
        "NUMBA_CACHE_DIR": str(folder / "cache"),  # cached kernels name files of this folder
    }
