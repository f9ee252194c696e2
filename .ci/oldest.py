"""Print constraints for pip: the oldest packages that pyproject.toml admits.

A requirement with a lower limit, `numpy>=2.1` or `numba>=0.62,<0.70`, becomes `numpy==2.1`.
"""

import re
import tomllib
from pathlib import Path

LIMIT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)")


def main():
    """Print one line for each lower limit in the requirements of the package and its extras."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for requirements in [project["dependencies"], *project["optional-dependencies"].values()]:
        for match in filter(None, map(LIMIT.match, requirements)):
            print(f"{match[1]}=={match[2]}")


if __name__ == "__main__":
    main()
