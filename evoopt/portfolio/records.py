"""The file of a journal: a header, then records of one size, each with a checksum.

Whatever is written goes to the end, in one piece and at once, so a process that is killed loses
nothing that it has written, and leaves at most one incomplete record.
"""

import errno
import os
import stat
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Self

from evoopt.portfolio.header import Header
from evoopt.replacing import sync_folder
from evoopt.types import Vector

try:
    import fcntl
except ImportError:  # Windows, where nobody notices that two processes write one file
    fcntl = None  # type: ignore[assignment]

SYNC, SHARE = 1.0, 0.01  # least seconds between two waits for the disk; most of the time that they take
CHUNK = 2**18  # bytes that are read at once
_NUMBER, _VALUE, _CRC = struct.Struct("<q"), struct.Struct("<d"), struct.Struct("<I")
Record = tuple[int, bytes, float]  # number, row (n,) in float64, value


class Records:
    """Records in an open file, behind a header.

    Parameters
    ----------
    file : FileIO
        Open to read and write.
    path : str
        Its name in errors.
    header : Header
        For a new file; a file that has one must be of the same search.

    Attributes
    ----------
    header : Header
        Of the file.

    Raises
    ------
    ValueError
        If the file is of another search, damaged, or written by another process.
    """

    def __init__(self, file: FileIO, path: str, header: Header) -> None:
        self._file, self._path = file, path
        self._lock()
        stored = Header.read(file, path)
        if stored is not None:
            stored.require_same(header, path)
        self.header, lines = stored or header, (stored or header).to_bytes()
        self._salt = zlib.crc32(lines)  # so that no block of another file looks sound
        self._row_end = _NUMBER.size + 8 * header.n
        self._size = self._row_end + _VALUE.size + _CRC.size
        self._start = self._end = len(lines)
        if stored is None:
            self._end = 0
            self._write(lines)
        self._end = self._sound_end()
        file.truncate(self._end)
        self._synced = 0 if stored is None else self._end  # the end that is on the disk
        self._next_sync, self._added = time.monotonic() + SYNC, bytearray()

    @classmethod
    @contextmanager
    def opened(cls, path: str, header: Header) -> Iterator[Self]:
        """Open a file, or make one; close it at the end of the block."""
        with open_file(path) as file:
            yield cls(file, path, header)

    def __iter__(self) -> Iterator[Record]:
        for record in self._stored(self._end):
            number, value = _NUMBER.unpack_from(record)[0], _VALUE.unpack_from(record, self._row_end)[0]
            yield number, record[_NUMBER.size : self._row_end], value

    def add(self, number: int, row: Vector, value: float) -> None:
        """Add a record to those that `write` writes."""
        body = _NUMBER.pack(number) + row.tobytes() + _VALUE.pack(value)
        self._added += body + _CRC.pack(zlib.crc32(body, self._salt))

    def write(self) -> None:
        """Write the added records; raise OSError if that fails."""
        self._write(self._added)
        self._added = bytearray()
        if time.monotonic() >= self._next_sync:
            self.sync()

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        if self._synced == self._end:
            return
        begun = time.monotonic()
        os.fsync(self._file.fileno())
        if self._synced == 0:  # a new file
            sync_folder(Path(self._path).resolve().parent)
        now, self._synced = time.monotonic(), self._end
        self._next_sync = now + max(SYNC, (now - begun) / SHARE)

    # ---------------------------------------------------------------- the file

    def _lock(self) -> None:
        """Keep other processes out until this one ends; its children do not hold the lock."""
        if fcntl is None:
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):  # else a file system without locks
                raise ValueError(
                    f'checkpoint must be a file that no other process writes, got "{self._path}"; wait until '
                    "that process has ended, or take another path."
                ) from error

    def _write(self, data: bytes | bytearray) -> None:
        self._file.seek(self._end)
        left = memoryview(data)
        while left:  # a disk that is nearly full takes a part, and then raises
            left = left[self._file.write(left) :]
        self._end += len(data)

    def _stored(self, end: int) -> Iterator[bytes]:
        """Yield the complete records before a place in the file."""
        size = self._size * max(1, CHUNK // self._size)
        for start in range(self._start, end, size):
            self._file.seek(start)
            chunk = self._file.read(min(size, end - start))
            for i in range(0, len(chunk) - self._size + 1, self._size):
                yield chunk[i : i + self._size]

    def _sound_end(self) -> int:
        """Return where the sound records end; raise ValueError for damage before that.

        A process that was killed leaves one incomplete record, a loss of power also zeros.
        """
        whole = os.fstat(self._file.fileno()).st_size
        end = self._start
        for record in self._stored(whole):
            if _CRC.pack(zlib.crc32(record[: -_CRC.size], self._salt)) != record[-_CRC.size :]:
                break
            end += self._size
        if not self._is_empty(end + self._size, whole):
            raise ValueError(
                f'The checkpoint "{self._path}" is damaged in evaluation '
                f"{(end - self._start) // self._size + 1}; take another copy, or keep those before it by "
                f"cutting the file to its first {end} bytes."
            )
        return end

    def _is_empty(self, start: int, end: int) -> bool:
        """Whether there is nothing but zeros between two places."""
        self._file.seek(start)
        return all(not any(self._file.read(min(CHUNK, end - place))) for place in range(start, end, CHUNK))


def open_file(path: str) -> FileIO:
    """Open a file, or make one, without a buffer; raise ValueError for anything else, as a pipe."""
    file = FileIO(path, "r+", opener=lambda name, flags: os.open(name, flags | os.O_CREAT, 0o666))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f'checkpoint must be a file, or a new one, but "{path}" is none; take another path.')
    return file
