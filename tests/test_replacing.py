"""Atomic writes of files: parameters and checkpoints."""

import errno
import os
import signal
import socket
import stat
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import evoopt
from evoopt import replacing

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and locks of POSIX")
ARRAYS = {"a": np.arange(3.0), "b": {"c": np.zeros((2, 2), np.float32)}}


def save_checkpoint(path):
    evoopt.SNES([1.0, 2.0], 0.5, seed=1).save(path)


def save_params(path):
    evoopt.save_params(path, ARRAYS)


each_save = pytest.mark.parametrize("save", [save_checkpoint, save_params])


@pytest.fixture
def mask():
    """Return the bits that new files lack."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


# ---------------------------------------------------------------- which file


@each_save
@pytest.mark.parametrize("path", ["", None, 5, 2.5, b"run.npz", ["run.npz"], "a\0b"], ids=repr)
def test_what_is_no_path_is_refused_in_a_sentence(save, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^path must be the path of a file such as .*, got .*\.$"):
        save(path)
    assert os.listdir(tmp_path) == []


NO_FILES = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo if os.name == "posix" else None,
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(path.name),
    "link to itself": lambda path: path.symlink_to(path),
}


def assert_refused(save, path, kind):
    before = path.lstat()
    with pytest.raises(ValueError, match=rf"^path must name a file.* is a {kind}; take another name\.$"):
        save(path)
    after = path.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)


@each_save
@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.filterwarnings("ignore:unclosed")
@posix
def test_what_is_no_file_is_refused(save, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NO_FILES[kind](tmp_path / "target")
    assert_refused(save, tmp_path / "target", kind)
    assert os.listdir(tmp_path) == ["target"]


@each_save
@posix
def test_what_the_system_has_is_refused(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, kind in ((Path(), "folder"), (Path("/dev/null"), "device"), (Path("/"), "folder")):
        assert_refused(save, path, kind)


@each_save
def test_a_missing_folder_is_refused(save, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must exist, got .*; make it"):
        save(tmp_path / "nowhere" / "run.npz")


@each_save
@posix
def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(save, tmp_path, mask):
    path = tmp_path / "run.npz"
    save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    for mode in (0o600, 0o666, 0o444, 0o640):
        path.chmod(mode)
        save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


@each_save
@posix
def test_a_link_stays_a_link(save, tmp_path):
    folder, path = tmp_path / "elsewhere", tmp_path / "run.npz"
    folder.mkdir()
    path.symlink_to(folder / "real.npz")
    for _ in range(2):  # a new file, then an existing one
        save(path)
        assert path.is_symlink()
        assert zipfile.is_zipfile(folder / "real.npz")
    assert os.listdir(folder) == ["real.npz"]
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "run.npz"]


@each_save
def test_a_name_may_be_as_long_as_the_system_allows(save, tmp_path):
    path = tmp_path / ("ä" * 100 + "n" * 40)
    save(path)
    assert os.listdir(tmp_path) == [path.name]


# ---------------------------------------------------------------- on the disk


@each_save
@posix
def test_the_content_is_on_the_disk_before_it_has_the_name(save, tmp_path, monkeypatch):
    path, done = tmp_path / "run.npz", []
    fsync, move = os.fsync, os.replace

    def sync(number):
        kind = "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file"
        done.append((kind, path.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), move(*paths)))
    save(path)
    assert done == [("file", False), "replace", ("folder", True)]


@each_save
def test_a_disk_that_is_full_leaves_the_old_file(save, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    path.write_bytes(b"old")

    class Full:
        """A file on a disk with a limited number of free bytes."""

        def __init__(self, file, room):
            self._file, self._room = file, room

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            self._room -= len(data)
            if self._room < 0:
                raise OSError(errno.ENOSPC, "No space left on device", self._file.name)
            return self._file.write(data)

    def open_full(room, path, mode, **options):
        file = open(path, mode, **options)  # noqa: SIM115
        return Full(file, room) if mode == "xb" else file

    for room in (0, 10, 200, 400):
        with monkeypatch.context() as patch:
            patch.setattr(replacing, "open", partial(open_full, room), raising=False)
            with pytest.raises(OSError, match="No space left") as raised:
                save(path)
        assert raised.value.errno == errno.ENOSPC
        assert raised.value.filename == str(path)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["run.npz"]


# --------------------------------------------------------------- Ctrl-C, and the end of the process

WRITERS = [replacing.__file__, evoopt.files.__file__, zipfile.__file__, np.lib.format.__file__]


def interrupted(action, moment):
    """Interrupt an action before a line of code that writes; return the number of such lines."""
    lines = 0

    def local(frame, event, _):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == moment:
                raise KeyboardInterrupt
        return local

    def trace(frame, *_):
        # Exceptions of a destructor are lost in any program.
        freed = "__del__" in (frame.f_code.co_name, frame.f_back.f_code.co_name)
        return local if frame.f_code.co_filename in WRITERS and not freed else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # half-made ZipFiles
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_interrupt_stays_one_and_leaves_nothing(old, tmp_path):
    path = tmp_path / "run.npz"
    moments = interrupted(lambda: save_params(tmp_path / "other.npz"), 0)
    whole = (tmp_path / "other.npz").read_bytes()
    (tmp_path / "other.npz").unlink()
    assert moments > 200
    for moment in range(1, moments + 1):
        path.unlink(missing_ok=True)
        if old:
            path.write_bytes(old)
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: save_params(path), moment)
        found = path.read_bytes() if path.exists() else None
        assert found in (old, whole), moment
        assert os.listdir(tmp_path) == ([] if found is None else ["run.npz"]), moment


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork and signals")
def test_temporary_files_of_the_dead_are_removed_and_of_the_living_not(tmp_path):
    """A killed process leaves its file to others, and a stopped one keeps its own."""
    path, names = tmp_path / "run.npz", []

    def hang(file):
        file.write(b"half")
        while True:
            time.sleep(1)

    def child():
        started = len(list(tmp_path.glob(".*.tmp")))
        number = os.fork()
        if not number:
            replacing.replace(path, hang)
        while len(list(tmp_path.glob(".*.tmp"))) == started:
            time.sleep(0.001)
        names.append(set(os.listdir(tmp_path)))
        return number

    dead, living = child(), child()
    try:
        (other,) = names[1] - names[0]
        os.kill(dead, signal.SIGKILL)
        os.waitpid(dead, 0)
        time.sleep(0.1)  # time for the living process to lock its file
        save_params(path)
        assert set(os.listdir(tmp_path)) == {"run.npz", other}
        evoopt.load_params(path)
    finally:
        os.kill(living, signal.SIGKILL)
        os.waitpid(living, 0)
    save_params(path)
    assert os.listdir(tmp_path) == ["run.npz"]


def test_files_that_only_look_alike_are_left(tmp_path):
    others = [".run.npz.tmp", ".run.npz.8.tmp", ".runs.npz.0.tmp", "run.npz.0.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    save_params(tmp_path / "run.npz")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "run.npz"])


@posix
def test_a_link_is_no_temporary_file(tmp_path):
    """Somebody could have made the link where the next temporary file is made."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / ".run.npz.0.tmp").symlink_to(victim)
    save_params(tmp_path / "run.npz")
    assert victim.read_bytes() == b"mine"


def test_threads_may_save_into_one_file(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "run.npz"
    with ThreadPoolExecutor(12) as executor:
        list(executor.map(lambda _: save_params(path), range(60)))
    assert os.listdir(tmp_path) == ["run.npz"]
    np.testing.assert_array_equal(evoopt.load_params(path)["a"], ARRAYS["a"])
