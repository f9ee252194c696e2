"""Reading of ``.npz`` files, in which every byte is checked.

An ``.npz`` file is a zip archive of ``.npy`` files: the entries one after the other, each behind a
header of its own; then the directory, which repeats the headers; then the end, which counts the
directory. The formats: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT and
`numpy.lib.format`.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from evoopt import arguments
from evoopt.npy import read_npy
from evoopt.types import Array

_LOCAL = struct.Struct("<4s2x2H4x3L2H")  # flags, method, crc, packed, size, lengths of name and extra
_ENTRY = struct.Struct("<4s4x2H4x3L3H8xL")  # flags, method, crc, packed, size, lengths (and comment), start
_END = struct.Struct("<4s2H2H2LH")  # disks, entries (here, in all), size and start of the directory, comment
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ4x2L2Q2Q")  # the fields of _END, behind its own size
_IN_EXTRA = 0xFFFFFFFF  # a number that is in the extra field, in 64 bits
_BEHIND, _UTF_8 = 0x8, 0x800  # flags: crc and sizes stand behind the data; the name is UTF-8
_STORED, _DEFLATED = 0, 8
_LEAST = _LOCAL.size + _ENTRY.size + 2 * len(".npy") + 10  # bytes that an entry takes
_GROWTH, _SMALL = 16, 2**24  # how much larger compressed arrays may be than their file, but for small ones


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the archive, as its directory describes it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int  # bytes in the file
    size: int  # bytes of the entry
    start: int  # where its header begins

    @property
    def text(self) -> str:
        return self.name.decode("utf-8" if self.flags & _UTF_8 else "cp437")

    def require(self, fits: bool, fault: str) -> None:
        if not fits:
            raise ValueError(f'its entry "{self.text}" {fault}')


def damaged(kind: str, path: str | os.PathLike[str], reason: object) -> ValueError:
    """Return the error for a file with damaged content."""
    return ValueError(
        f'{kind} was expected, but "{path}" is damaged: {str(reason).rstrip(".")}; take another copy.'
    )


def read_npz(
    path: str | os.PathLike[str], kind: str = "An .npz file of plain arrays", *, compressed: bool = False
) -> dict[str, Array]:
    """Read all arrays of an ``.npz``, executing nothing in it, in at most twice its memory.

    Each byte of the file is part of an entry or describes one, and whatever the file says twice is
    compared. So a flipped bit is found wherever it matters.

    Parameters
    ----------
    path : str or path
    kind : str
        The name of such files, for the errors.
    compressed : bool
        Whether entries may be deflated. Their arrays may be 16 times larger than the file, or 16
        MiB.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For anything in the file that does not fit; it says that the file is damaged.
    """
    with open(arguments.path("path", path), "rb") as file:
        try:
            return dict(_arrays(file, compressed))
        except struct.error as error:
            raise damaged(kind, path, "a part of it is cut off") from error
        except (ValueError, zlib.error) as error:
            raise damaged(kind, path, error) from error


def _arrays(file: BinaryIO, compressed: bool) -> Iterator[tuple[str, Array]]:
    """Yield names and arrays, in the order of the file."""
    count, start, end = _directory(file)
    file.seek(start)
    entries = sorted(_entries(file.read(end - start), count), key=lambda entry: entry.start)
    _check_claims(entries, start, end)
    stops = [*(entry.start for entry in entries[1:]), start]
    for entry, stop in zip(entries, stops[: len(entries)], strict=True):
        entry.require(entry.text.endswith(".npy"), "is not an array")
        entry.require(entry.method == _STORED or (compressed and entry.method == _DEFLATED), "is compressed")
        content = _content(file, entry, stop)
        entry.require(zlib.crc32(content) == entry.crc, "was changed, or its checksum")
        yield entry.text.removesuffix(".npy"), read_npy(content, f'its entry "{entry.text}"')


def _check_claims(entries: list[_Entry], start: int, length: int) -> None:
    """Raise ValueError unless entries have different names, and places before the directory."""
    if len({entry.text for entry in entries}) < len(entries):
        raise ValueError("two of its entries have one name")
    starts = [entry.start for entry in entries] or [start]
    if starts[0] != 0 or starts[-1] > start:
        raise ValueError("its entries are not where its directory says")
    packed = any(entry.method == _DEFLATED for entry in entries)
    if packed and sum(entry.size for entry in entries) > max(_GROWTH * length, _SMALL):
        raise ValueError(
            f"its compressed arrays claim to be more than {_GROWTH} times as large as the file; save them "
            "by numpy.savez, without compression"
        )


def _directory(file: BinaryIO) -> tuple[int, int, int]:
    """Return the number of entries, and where their directory begins and ends."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(length - _END.size - _LOCATOR.size - _END_64.size, 0))
    tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\5\6":
        raise ValueError("it does not end as an .npz file ends")
    _, *numbers, comment = _END.unpack(tail[-_END.size :])
    end = length - _END.size
    locator = tail[-_END.size - _LOCATOR.size : -_END.size]
    if locator[:4] == b"PK\6\7":  # numbers of 64 bits
        end -= _LOCATOR.size + _END_64.size
        record = _END_64.unpack(tail[: _END_64.size])
        if _LOCATOR.unpack(locator) != (b"PK\6\7", 0, end, 1) or record[:2] != (b"PK\6\6", 44):
            raise ValueError("the end of its directory does not fit")
        numbers = list(record[2:])
    disk, disk_of_directory, here, count, size, start = numbers
    if (disk, disk_of_directory, here, start + size, comment) != (0, 0, count, end, 0):
        raise ValueError("its directory is not where the file says")
    if count * _LEAST > length:
        raise ValueError(f"it is too short for {count} entries")
    return count, start, end


def _entries(directory: bytes, count: int) -> Iterator[_Entry]:
    """Yield the entries of a directory."""
    place = 0
    if count > len(directory) // _ENTRY.size:
        raise ValueError(f"its directory is too short for {count} entries")
    for _ in range(count):
        signature, flags, method, crc, packed, size, name, extra, comment, start = _ENTRY.unpack_from(
            directory, place
        )
        place += _ENTRY.size
        if signature != b"PK\1\2":
            raise ValueError("its directory has no entry where one should be")
        rest = directory[place + name : place + name + extra]
        size, packed, start = _large(rest, size, packed, start)
        yield _Entry(directory[place : place + name], flags, method, crc, packed, size, start)
        place += name + extra + comment
    if place != len(directory):
        raise ValueError(f"its directory is longer or shorter than its {count} entries")


def _large(extra: bytes, *numbers: int) -> Iterator[int]:
    """Yield the numbers; a number too large for 32 bits is read from the extra field of zip64."""
    large: Iterator[int] = iter(())
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            large = iter(struct.unpack_from(f"<{length // 8}Q", extra, 4))
        extra = extra[4 + length :]
    for number in numbers:
        yield next(large, number) if number == _IN_EXTRA else number


def _content(file: BinaryIO, entry: _Entry, stop: int) -> bytes:
    """Return the bytes of an entry, which ends at `stop`; compare its header with the directory."""
    file.seek(entry.start)
    signature, flags, method, crc, packed, size, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    same = (signature, file.read(name), flags, method) == (b"PK\3\4", entry.name, entry.flags, entry.method)
    size, packed = _large(file.read(extra), size, packed)
    numbers = (entry.crc, entry.packed, entry.size)
    behind = bool(flags & _BEHIND)
    entry.require(same and (behind or (crc, packed, size) == numbers), "has another header than its own")
    left = stop - file.tell() - entry.packed
    entry.require(left >= 0, "claims more than the file holds")
    content = file.read(entry.packed)
    ends = _descriptors(entry) if behind else [b""]
    entry.require(file.read(left) in ends, "does not end where the next one begins")
    if entry.method == _DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, entry.size + 1)
    entry.require(len(content) == entry.size, "is longer or shorter than it claims")
    return content


def _descriptors(entry: _Entry) -> list[bytes]:
    """Return the possible descriptors behind an entry whose header was written before its data."""
    numbers = [struct.pack(form, entry.crc, entry.packed, entry.size) for form in ("<3L", "<L2Q")]
    return numbers + [b"PK\7\x08" + each for each in numbers]
