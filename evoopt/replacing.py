"""Files that are replaced as a whole: whatever happens, there is the old one or the new one."""

import itertools
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from evoopt import arguments

try:
    import fcntl
except ImportError:  # Windows, where a file that somebody has open cannot be removed
    fcntl = None  # type: ignore[assignment]

SWEPT = 8  # names of temporary files that are looked at: as many processes may have been killed at once
_SHOWN = 40  # letters of the file's name in the names of its temporary files
_KINDS = {
    "a folder": stat.S_ISDIR,
    "a pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a link to itself": stat.S_ISLNK,
}


def replace(path: object, write: Callable[[BinaryIO], None]) -> None:
    """Replace or make a file by one that `write` fills; a failure leaves the old file.

    A file that is there keeps its mode and a link stays a link. The content is on the disk before
    it has the name. Temporary files that killed processes left here are removed.

    Raises
    ------
    ValueError
        If `path` is no path, or something else than a file is there.
    FileNotFoundError
        If there is no such folder.
    """
    target, mode = _read(path)
    opened: list[BinaryIO] = []
    try:
        file = _open_temporary(target, mode, opened)
        write(file)
        file.flush()
        os.fsync(file.fileno())
        if fcntl is None:
            file.close()  # Windows renames no open file; elsewhere the lock lasts until it has its name
        os.replace(file.name, target)
        file.close()
        sync_folder(target.parent)
    except BaseException as error:  # Ctrl-C too
        _clean_up(opened, target)
        if isinstance(error, OSError) and error.filename in [file.name for file in opened]:
            error.filename = str(path)  # nobody asked for the other one
            del error.filename2
        raise


def _read(path: object) -> tuple[Path, int | None]:
    """Return the file behind a path, links followed, and its mode, None for a new file."""
    name = arguments.path("path", path)
    target = Path(os.path.realpath(name))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f'The folder of "{path}" must exist, got "{target.parent}"; make it, or take another one.'
        )
    if not os.path.lexists(target):
        return target, None
    mode = target.lstat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((kind for kind, is_kind in _KINDS.items() if is_kind(mode)), "no file")
        raise ValueError(f'path must name a file, or a new one, but "{name}" is {kind}; take another name.')
    return target, stat.S_IMODE(mode)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power, if the system can."""
    if os.name == "nt":
        return
    with suppress(OSError):  # a folder that cannot be read, a file system that knows no such thing
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


# ---------------------------------------------------------------- temporary files


def _open_temporary(target: Path, mode: int | None, opened: list[BinaryIO]) -> BinaryIO:
    """Make a file beside the target, after removing those that nobody writes any more.

    They have numbers, so that none has to be looked for in a folder of many files. Whoever writes
    one has it locked, which ends with the process, and is seen on all hosts that share the folder.
    """
    _remove_leftovers(target)
    numbers = itertools.count()
    while not _make(_temporary(target, next(numbers)), mode, opened):
        pass  # somebody else has this one
    return opened[-1]


def _temporary(target: Path, number: int) -> str:
    return str(target.with_name(f".{target.name[:_SHOWN]}.{number}.tmp"))


def _make(path: str, mode: int | None, opened: list[BinaryIO]) -> bool:
    """Make a file and lock it, as the last of `opened`; not if there is one."""
    allowed = 0o666 if mode is None else mode
    try:
        opened.append(open(path, "xb", opener=lambda name, flags: os.open(name, flags, allowed)))  # noqa: SIM115
    except FileExistsError:
        return False
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks, where `_remove_leftovers` finds none
            fcntl.flock(opened[-1], fcntl.LOCK_EX)
        if not os.fstat(opened[-1].fileno()).st_nlink:  # somebody thought it a leftover meanwhile
            opened.pop().close()
            return False
    if mode is not None:
        os.chmod(path, mode)  # open() applied the umask
    return True


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of a target that nobody has locked."""
    for number in range(SWEPT):
        path = _temporary(target, number)
        with suppress(OSError):  # usually there is none; or somebody has it locked, or owns it
            if fcntl is None:
                os.unlink(path)
                continue
            with open(path, "r+b", opener=_without_links) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _unlink(file)


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _unlink(file: BinaryIO) -> None:
    """Remove an open file, unless it was renamed meanwhile."""
    if os.path.samestat(os.fstat(file.fileno()), os.lstat(file.name)):
        os.unlink(file.name)


def _clean_up(opened: list[BinaryIO], target: Path) -> None:
    """Remove the files that a failure left."""
    for file in opened:
        with suppress(OSError, ValueError):  # it has its name, or is closed
            _unlink(file)
        with suppress(OSError):  # a full disk
            file.close()
    _remove_leftovers(target)
