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
    users = (frame for frame in frames if not _is_in(frame, "torch"))
    line = next((f", {Path(frame.f_code.co_filename).name}, line {frame.f_lineno}" for frame in users), "")
    return words + line


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames between the recorder and the call of the module, from the innermost on."""
    while frame is not None and _is_in(frame, "evoopt"):
        frame = frame.f_back
    while frame is not None and not _is_in(frame, "evoopt"):
        yield frame
        frame = frame.f_back


def _is_in(frame: FrameType, package: str) -> bool:
    """Return whether the code of a frame belongs to a package."""
    folder = Path(str(sys.modules[package].__file__)).parent
    return Path(frame.f_code.co_filename).is_relative_to(folder)
