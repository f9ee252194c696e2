"""Print version and path of one usable Python of each minor version, in order.

Candidates are on the PATH and among the versions of pyenv. Each one is run, because a shim of pyenv
on the PATH may not work, and a Python may lack the module that makes environments.
"""

import os
import re
import subprocess
from pathlib import Path

OLDEST = (3, 11)  # the lower limit of requires-python in pyproject.toml
QUESTION = "import ensurepip, sys; print(*sys.version_info[:2])"


def candidates():
    """Yield the paths of interpreters."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/3.*[0-9]/bin/python"))
    for folder in os.get_exec_path():
        yield from (path for path in sorted(Path(folder).glob("python3.*")) if path.name[8:].isdigit())


def version_of(python):
    """Return (major, minor); None if it does not run or cannot make environments."""
    done = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"(\d+) (\d+)\s*", done.stdout)
    return (int(found[1]), int(found[2])) if done.returncode == 0 and found else None


def main():
    """Print one Python of each supported minor version, in order."""
    found = {}
    for python in candidates():
        version = version_of(python)
        if version is not None and version >= OLDEST:
            found.setdefault(version, python)
    for (major, minor), python in sorted(found.items()):
        print(f"{major}.{minor} {python}")


if __name__ == "__main__":
    main()
