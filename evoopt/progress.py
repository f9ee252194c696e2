"""The progress bar of `evolve` and `minimize`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from evoopt.compiling.cache import announced


@contextmanager
def open_bar(total: int | None, unit: str, initial: int = 0) -> Iterator[Any]:
    """Show a bar of tqdm, above which a line says so if kernels compile.

    Raises
    ------
    ImportError
        Without the package tqdm.
    """
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ImportError(
            "progress=True needs the package tqdm, which is not installed: pip install evoopt[progress]"
        ) from error
    say = partial(tqdm.write, file=sys.stderr)
    with tqdm(total=total, initial=initial, unit=unit) as bar, announced(say):
        yield bar
