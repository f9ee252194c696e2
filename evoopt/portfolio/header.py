"""The header of a journal: two lines of text, which say of which search it is."""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import BinaryIO, Self

import numpy as np
import scipy

from evoopt.calls import name_of
from evoopt.portfolio.methods import Method
from evoopt.portfolio.start import Start
from evoopt.strategies.contract.checkpoint import MINIMIZE

FIRST_LINE = MINIMIZE + b"1\n"
MOST = 2**16  # bytes, more than any header has
_LONGEST = 200  # letters of a setting as text; of a longer one there is a digest


@dataclass(frozen=True)
class Header:
    """The header of a journal.

    Attributes
    ----------
    n : int
        Numbers in a row.
    seed : int
        Of the strategy.
    maxfun : float
        The limit of evaluations in the first call, with which the searches plan in all calls.
    settings : dict of str to str
        The settings on which the points depend, as texts.
    versions : dict of str to str
        Of the libraries that compute the points.
    """

    n: int
    seed: int
    maxfun: float
    settings: dict[str, str]
    versions: dict[str, str]

    def to_bytes(self) -> bytes:
        """Return the two lines."""
        text = json.dumps(asdict(self)).encode()
        return FIRST_LINE + b"%08x %s\n" % (zlib.crc32(text), text)

    @classmethod
    def read(cls, file: BinaryIO, path: str) -> Self | None:
        """Read the header at the start of a file; None if the file was killed before it had one.

        Raises
        ------
        ValueError
            If this is no file of `minimize`, one of another format, or a damaged one.
        """
        file.seek(0)
        found = file.read(MOST)
        if not FIRST_LINE.startswith(found[: len(FIRST_LINE)]):
            kind = "of another version of evoopt" if found.startswith(MINIMIZE) else "something else"
            raise ValueError(
                f'checkpoint must be a file of minimize, or a new one, but "{path}" is {kind}; take another '
                "path."
            )
        if found.count(b"\n") < 2 and len(found) < MOST:  # its only writer was killed
            return None
        crc, _, text = found[len(FIRST_LINE) :].partition(b"\n")[0].partition(b" ")
        if crc != b"%08x" % zlib.crc32(text):
            raise ValueError(f'The first lines of the checkpoint "{path}" are damaged; take another copy.')
        return cls(**json.loads(text))

    def require_same(self, other: "Header", path: str) -> None:
        """Raise ValueError unless `other`, of the present call, is of the same search."""
        own, given = self._compared(), other._compared()
        for name in {**own, **given}:
            if own.get(name) != given.get(name):
                raise ValueError(
                    f'checkpoint must be the file of this search, but "{path}" is of one with {name} = '
                    f"{own.get(name)}, got {given.get(name)}; give the settings of its first call, or take "
                    "another path."
                )

    def _compared(self) -> dict[str, str]:
        return {"n": str(self.n), **self.settings, "seed": str(self.seed)}


def header_of(
    fun: object,
    method: Method,
    start: Start,
    seed: int,
    maxfun: float,
    tol: float | None,
    options: Mapping[str, object],
) -> Header:
    """Return the header of a search; `options` are its strategy's.

    Limits and messages may change from call to call, so they are left out.
    """
    settings = {
        "fun": name_of(fun),
        "method": method.name,
        "space": None if start.box is None else start.box.space,
        "bounds": start.bounds,
        "x0": None if start.centred else start.x0,
        "sigma": start.sigma,
        "tol": tol,
        **options,
    }
    texts = {name: _text(value) for name, value in settings.items()}
    return Header(len(start.x0), seed, maxfun, texts, versions())


def versions() -> dict[str, str]:
    """Return the versions of the libraries that compute the points of a search."""
    return {"numpy": np.__version__, "scipy": scipy.__version__}


def _text(value: object) -> str:
    """Return a setting as a short text without addresses of this process."""
    exact = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    text = value if isinstance(value, str) else re.sub(r" at 0x[0-9a-fA-F]+", "", repr(exact))
    if len(text) <= _LONGEST:
        return text
    return f"{text[:20]}... (digest {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()})"
