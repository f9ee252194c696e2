"""Arrays and trees in ``.npz`` files, written all or nothing and read without pickles."""

import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from evoopt.arrays import shown
from evoopt.calls import called
from evoopt.npz import damaged, read_npz
from evoopt.replacing import replace
from evoopt.tree import ABSENT, MOST_LEVELS, loads, nest, open_tree, read_tree, to_jsonable
from evoopt.types import Array

_TREE_ENTRY = ".tree"  # no leaf can have this name: it begins with an empty key
_LONGEST_NAME = 2**16 - 1 - len(".npy")  # bytes in the name of an entry
_KIND = "An .npz file of plain arrays"  # the content of a good file


@called
def save_params(path: str | os.PathLike[str], tree: object) -> None:
    """Save a tree as an ``.npz`` file with one named array for each leaf.

    numpy and Elixir's Nx read such files.

    Parameters
    ----------
    path : str or path
        The file, named exactly so. It is replaced in one step: a reader sees the old file or the
        new one.
    tree : nested mapping, list or tuple
        As `ParamSpec.from_params` takes it. If names alone do not tell its containers (lists,
        tuples, int keys, empty ones, absent leaves), the entry ``.tree`` does, in bytes of JSON. A
        namedtuple becomes a plain tuple, another mapping a dict, and bfloat16 float32.

    Raises
    ------
    ValueError
        For a key or leaf that cannot be named or saved.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_params(f"{folder}/net.npz", {"dense_0": {"bias": np.zeros(2)}})
    ...     load_params(f"{folder}/net.npz")
    {'dense_0': {'bias': array([0., 0.])}}
    """
    root, arrays = read_tree(tree)
    for name in arrays:
        require_name(name)
    if open_tree(arrays)[0] != root:
        arrays[_TREE_ENTRY] = np.frombuffer(json.dumps(to_jsonable(root)).encode(), np.uint8)
    write_npz(path, arrays)


def require_name(name: str) -> None:
    """Raise ValueError for a name that an entry of a zip archive cannot have."""
    encoded = name.encode(errors="ignore")  # surrogates are left out
    if "\0" in name or encoded.decode() != name or len(encoded) > _LONGEST_NAME:
        raise ValueError(
            f"The name of a leaf in a file must be Unicode text without NUL, at most {_LONGEST_NAME} bytes "
            f"long, got {shown(name)}; rename its keys."
        )


@called
def load_params(path: str | os.PathLike[str]) -> Any:
    """Load a file of `save_params`, or any ``.npz`` with dotted names; leaves are arrays.

    Parameters
    ----------
    path : str or path
        Nothing in the file is executed. All of it is compared with its directory and checksums, so
        that no leaf is lost. Loading takes at most a few times the memory of the file. Compressed
        files are read, too, if their arrays are at most 16 times as large as the file, or 16 MiB.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged: not an ``.npz`` of plain arrays, or its names do not form a tree.

    See `save_params` for an example.
    """
    arrays = read_npz(path, _KIND, compressed=True)
    try:
        return _tree(arrays)
    except (ValueError, RecursionError) as error:
        raise damaged(_KIND, path, error) from error


def _tree(arrays: dict[str, Array]) -> Any:
    """Return the tree of named arrays; the entry ``.tree``, if there is one, has its containers."""
    deepest = max(arrays, key=lambda name: name.count("."), default="")
    if deepest.count(".") > MOST_LEVELS:
        raise ValueError(f'the name "{deepest[:30]}..." is of a tree more than {MOST_LEVELS} levels deep')
    text = arrays.pop(_TREE_ENTRY, None)
    if text is None:
        return nest(arrays)
    try:
        root, names = open_tree(loads(text.tobytes()), ABSENT)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'its entry "{_TREE_ENTRY}" does not describe a tree: {error}') from error
    if names.keys() != arrays.keys():
        raise ValueError(f'the leaves of its entry "{_TREE_ENTRY}" are not the arrays')
    return root.build(iter([arrays[name] for name in names]))


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays into an ``.npz`` at exactly `path`, all or nothing; see `replace`.

    An array of objects is a ValueError.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(f"{folder}/state", {"mean": np.zeros(2)})
    ...     read_npz(f"{folder}/state")
    {'mean': array([0., 0.])}
    """

    def write(file: BinaryIO) -> None:
        # Not np.savez: it appends ".npz" to a path, and takes an array named "file" for its own
        # argument.
        archive = zipfile.ZipFile(file, "w")
        try:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
            archive.close()
        except BaseException:
            archive.fp = None  # closing it would write once more, and hide the exception
            raise

    replace(path, write)
