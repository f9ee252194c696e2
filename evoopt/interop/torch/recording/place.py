"""The place in a module and its source from which torch is called."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType


def place(paths: Mapping[int, str]) -> str:
    """Return the module that is running, and the user's line, as words for an error.

    Parameters
    ----------
    paths : mapping of int to str
        The paths of modules by their identity.
    """
    frames = [*_frames(sys._getframe(1))]
    modules = (frame.f_locals.get("self") for frame in frames)
    module = next((each for each in modules if id(each) in paths), None)
    words = "" if module is None else f' in "{paths[id(module)]}" ({type(module).__name__})'
    users = (frame for frame in frames if _is_users(frame.f_code.co_filename))
    line = next((f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}" for frame in users), None)
    return words if line is None else f"{words}, {line}"


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_users(file: str) -> bool:
    return not any(Path(file).is_relative_to(folder) for folder in _folders())


def _folders() -> Iterator[Path]:
    """Yield the folders of torch and of evoopt."""
    for name in ("torch", "evoopt"):
        yield Path(str(sys.modules[name].__file__)).parent
