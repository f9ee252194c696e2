"""The disk cache of kernels: damaged files are compiled again, unsafe folders are not used."""

import ast
import logging
import os
import pickle
import shutil
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import JIT_DISABLED
from numba.core import config

from evoopt.compiling import cache, folders
from evoopt.compiling.jit import kernel

pytestmark = pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
DAMAGES = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "short": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: np.random.default_rng(1).bytes(len(data)),
    "text": lambda data: b"not a pickle\n" * 9,
    "another pickle": lambda data: pickle.dumps(5) + pickle.dumps("x"),
    "one bit": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
}


def twice(x):
    for i in range(len(x)):
        x[i] *= 2.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of kernels, before any warning."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "home" / "cache"))
    monkeypatch.setattr(cache, "first_warning", threading.Lock())
    return tmp_path / "home" / "cache"


def compiled(caplog):
    """Use a kernel as a new process does; return whether it was compiled, and the warnings."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "evoopt"):
        x = np.ones(3)
        kernel(twice)(x)
    assert x.tolist() == [2.0, 2.0, 2.0]
    said = [record.getMessage() for record in caplog.records]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return any(text.startswith("compiling twice") for text in said), warned


FOLDERS = sorted(
    {
        str(path.parent.relative_to(cache.PACKAGE))
        for part in cache.COMPILED
        for path in (cache.PACKAGE / part).rglob("*.py")
    }
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a copy of the package, which the source stamp reads."""
    copy = tmp_path / "evoopt"
    shutil.copytree(cache.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "PACKAGE", copy)
    cache.source_stamp.cache_clear()
    yield copy
    cache.source_stamp.cache_clear()


@pytest.mark.parametrize("place", FOLDERS)
def test_an_edit_in_any_folder_of_machine_code_compiles_again(place, package, folder, caplog):
    assert compiled(caplog) == (True, [])
    cache.source_stamp.cache_clear()
    assert compiled(caplog) == (False, [])
    edited = sorted((package / place).glob("*.py"))[-1]
    edited.write_text(edited.read_text() + "\n")
    cache.source_stamp.cache_clear()
    assert compiled(caplog) == (True, [])


def test_machine_code_is_made_in_folders_that_are_looked_at():
    """Files in other folders import nothing that compiles."""
    compilers = {
        "inline",
        "kernel",
        "rule",
        "closure",
        "part",
        "intrinsic",
        "njit",
        "register_jitable",
        "jit",
    }
    for path in sorted(cache.PACKAGE.rglob("*.py")):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        imported = {alias.name for node in nodes for alias in node.names}
        assert not imported & compilers or path.relative_to(cache.PACKAGE).parts[0] in cache.COMPILED, path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_is_damaged_is_compiled_again(damage, suffix, folder, caplog):
    assert compiled(caplog) == (True, [])
    assert compiled(caplog) == (False, [])
    (path,) = folder.rglob(f"*{suffix}")
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    again, warned = compiled(caplog)
    assert again or path.read_bytes() == DAMAGES[damage](whole)  # some bits of an index mean nothing
    assert all("is damaged, and is compiled again" in text for text in warned)
    assert warned or suffix == ".nbi"  # numba takes some damaged indexes for another version's
    assert compiled(caplog) == (False, [])


class Raises:
    """An object whose unpickling raises."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _raise, (self.error,)


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "error", [RecursionError, MemoryError, ImportError, AttributeError, KeyError, OverflowError, RuntimeError]
)
def test_whatever_reading_raises(error, folder, caplog):
    compiled(caplog)
    (path,) = folder.rglob("*.nbc")
    path.write_bytes(pickle.dumps(Raises(error("text"))))
    assert compiled(caplog)[0]
    assert compiled(caplog) == (False, [])


def test_damage_that_cannot_be_mended_does_not_stop_a_program(folder, caplog, monkeypatch):
    compiled(caplog)
    (path,) = folder.rglob("*.nbi")
    path.write_bytes(b"")

    def refuse(self):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(cache.KernelLocator, "ensure_cache_path", refuse)
    monkeypatch.setattr(cache.caching.IndexDataCacheFile, "flush", refuse)
    for _ in range(2):
        assert compiled(caplog)[0]
    assert path.read_bytes() == b""


# ---------------------------------------------------------------- whose folder it is


@posix
def test_new_folders_are_private(folder, caplog):
    before = os.umask(0)
    try:
        compiled(caplog)
    finally:
        os.umask(before)
    (leaf,) = folder.iterdir()
    for path in (leaf, folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def unused(folder, caplog, text):
    """Whether kernels neither read nor write a folder, and one warning has the reason."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.warns(RuntimeWarning, match=rf"cannot be kept on disk.*{text}.*NUMBA_CACHE_DIR") as warned:
        first, second = compiled(caplog), compiled(caplog)
    assert first == second == (True, [])
    assert len(warned) == 1
    return before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
@pytest.mark.parametrize("full", [False, True])
def test_a_folder_that_others_may_write_is_not_used(mode, full, folder, caplog):
    leaf = Path(cache.kernel_folder())
    folders.make_private(leaf)
    if full:
        compiled(caplog)
    leaf.chmod(mode)
    assert unused(folder, caplog, "other users may write into")


@posix
@pytest.mark.parametrize("mode", [0o777, 0o702])
@pytest.mark.parametrize("above", [0, 1, 2])
def test_nor_is_one_that_others_could_exchange(mode, above, folder, caplog):
    compiled(caplog)
    parent = [folder, *folder.parents][above]
    parent.chmod(mode)
    assert unused(folder, caplog, "other users may write into")


@posix
def test_the_sticky_bit_is_enough_above(folder, caplog):
    folders.make_private(folder)
    folder.chmod(0o1777)
    assert compiled(caplog) == (True, [])
    assert compiled(caplog) == (False, [])


@posix
def test_links_are_looked_behind(folder, caplog, tmp_path):
    real = tmp_path / "shared" / "real"
    folders.make_private(real)
    folders.make_private(folder.parent)
    folder.symlink_to(real)
    real.parent.chmod(0o777)
    assert unused(folder, caplog, "other users may write into")


@posix
@pytest.mark.parametrize("place", ["leaf", "folder"])
def test_a_folder_of_another_user_is_not_used(place, folder, caplog, monkeypatch):
    compiled(caplog)
    owned, look = {"leaf": Path(cache.kernel_folder()), "folder": folder}[place], Path.stat

    def of_another(path, **options):
        found = look(path, **options)
        return os.stat_result([*found[:4], os.geteuid() + 1, *found[5:]]) if path == owned else found

    monkeypatch.setattr(Path, "stat", of_another)
    assert unused(folder, caplog, "belongs to another user")


@posix
def test_the_group_of_one_user_is_no_other(folder, monkeypatch):
    """Many systems have a group for each user, which may write the user's folders."""
    import grp
    import pwd

    folders.make_private(folder)
    folder.parent.chmod(0o775)
    uid, gid = folder.parent.stat()[4:6]
    user = pwd.struct_passwd(["anne", "x", uid, gid, "", "", ""])
    monkeypatch.setattr(pwd, "getpwuid", {uid: user}.__getitem__)
    for name, members, alone in (
        ("anne", [], True),
        ("anne", ["anne"], True),
        ("staff", [], False),
        ("anne", ["bob"], False),
    ):
        group = grp.struct_group([name, "x", gid, members])
        monkeypatch.setattr(grp, "getgrgid", {gid: group}.__getitem__)
        assert (folders.fault_of(folder) is None) == alone
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # an owner without an entry
    assert folders.fault_of(folder) == f'other users may write into "{folder.parent}"'


@posix
def test_a_folder_that_is_exchanged_while_we_compile_is_not_written(folder, caplog, monkeypatch):
    make = folders.make_private

    def make_for_all(path):
        make(path)
        path.chmod(0o777)

    monkeypatch.setattr(folders, "make_private", make_for_all)
    with pytest.warns(RuntimeWarning, match="other users may write into"):
        assert compiled(caplog) == (True, [])
    assert not list(folder.rglob("*.nb?"))
