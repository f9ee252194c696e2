"""Print version and path of each Python of the machine that can be used, one of each minor version, in order.

They are looked for on the PATH and among the versions of pyenv. A shim of pyenv may stand on the PATH and not
run, and a Python may lack what makes environments: so each one is asked.
"""

import os
import re
import subprocess
from pathlib import Path

OLDEST = (3, 11)  # as requires-python in pyproject.toml
QUESTION = "import ensurepip, sys; print(*sys.version_info[:2])"


def candidates():
    """Yield paths of interpreters."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/3.*[0-9]/bin/python"))
    for folder in os.get_exec_path():
        yield from (path for path in sorted(Path(folder).glob("python3.*")) if path.name[8:].isdigit())


def version_of(python):
    """Return (major, minor); None where it does not run or cannot make environments."""
    done = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"(\d+) (\d+)\s*", done.stdout)
    return (int(found[1]), int(found[2])) if done.returncode == 0 and found else None


def main():
    """Print them."""
    found = {}
    for python in candidates():
        version = version_of(python)
        if version is not None and version >= OLDEST:
            found.setdefault(version, python)
    for (major, minor), python in sorted(found.items()):
        print(f"{major}.{minor} {python}")


if __name__ == "__main__":
    main()
