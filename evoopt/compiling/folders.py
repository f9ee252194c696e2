"""Folders that may hold machine code: who writes its pickles can execute code here."""

import os
import stat
from pathlib import Path

try:
    import grp
    import pwd
except ImportError:  # Windows, whose permissions are not looked at
    _POSIX = False
else:
    _POSIX = True


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone."""
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(0o700, exist_ok=True)


def fault_of(folder: Path) -> str | None:
    """Return how others could put code into a folder, or exchange it; None if they cannot.

    Its owner must be this user or root, and nobody else may write into it; the same for the folder
    that it is in. In folders above it others may not write either, unless they can change only
    their own files there (the sticky bit), as in ``/tmp``. A folder that is missing has no fault.
    """
    if not _POSIX:
        return None
    above = {*folder.parents, *Path(os.path.realpath(folder)).parents}
    faults = [_fault_of_owner(folder), _fault_of_owner(folder.parent), _fault_of_writers(folder, 0o022)]
    faults += [_fault_of_writers(parent, _writers_above(parent)) for parent in sorted(above)]
    return next(filter(None, faults), None)


def _fault_of_owner(folder: Path) -> str | None:
    found = _look(folder)
    others = found is not None and found.st_uid not in (0, os.geteuid())
    return f'"{folder}" belongs to another user' if others else None


def _fault_of_writers(folder: Path, bits: int) -> str | None:
    found = _look(folder)
    return f'other users may write into "{folder}"' if found is not None and found.st_mode & bits else None


def _writers_above(folder: Path) -> int:
    """Return the bits of a mode that let others exchange the files in a folder."""
    found = _look(folder)
    if found is None or found.st_mode & stat.S_ISVTX:
        return 0
    return 0o002 if _is_of_one_user(found) else 0o022


def _is_of_one_user(found: os.stat_result) -> bool:
    """Whether the group of a folder has its owner alone, as on many systems."""
    try:
        user, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _look(folder: Path) -> os.stat_result | None:
    try:
        return folder.stat()
    except OSError:  # missing, or this user may not even look
        return None
