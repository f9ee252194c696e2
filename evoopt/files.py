"""Arrays and trees of parameters in ``.npz`` files, written all or nothing and read without pickles."""

import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.tree import ABSENT, loads, nest, open_tree, read_tree, to_jsonable

Array = NDArray[Any]

_TREE_ENTRY = ".tree"  # no leaf can have this name: it begins with an empty key


def save_params(path: str | os.PathLike[str], tree: Any) -> None:
    """Save a tree as an ``.npz`` of one array per leaf under its name, as numpy or Elixir's Nx read it.

    Parameters
    ----------
    path : str or path
        The file, named exactly so. It is replaced in one step: a reader sees the old file or the new one.
    tree : nested mapping, list or tuple
        As `ParamSpec.from_params` takes it. If names alone do not tell its containers (lists, tuples, int
        keys, empty ones, absent leaves), the entry ``.tree`` does, in bytes of JSON. A namedtuple becomes a
        plain tuple, another mapping a dict, and bfloat16 float32.

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
    if open_tree(arrays)[0] != root:
        arrays[_TREE_ENTRY] = np.frombuffer(json.dumps(to_jsonable(root)).encode(), np.uint8)
    write_npz(path, arrays)


def load_params(path: str | os.PathLike[str]) -> Any:
    """Load what `save_params` saved, or any ``.npz`` of dotted names; every leaf comes as an array.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ``.npz`` of plain arrays, or its names do not form a tree.

    See `save_params` for an example.
    """
    arrays = read_npz(path)
    if _TREE_ENTRY not in arrays:
        return nest(arrays)
    text = arrays.pop(_TREE_ENTRY).tobytes()
    try:
        root, names = open_tree(loads(text), ABSENT)
        if names.keys() != arrays.keys():
            raise ValueError("its leaves are not the arrays")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'The entry "{_TREE_ENTRY}" of "{path}" does not describe a tree: {error!r}.'
        ) from error
    return root.build(iter([arrays[name] for name in names]))


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays into an ``.npz`` at exactly `path`, all or nothing: a failure leaves what was there.

    An array of objects is a ValueError.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(f"{folder}/state", {"mean": np.zeros(2)})
    ...     read_npz(f"{folder}/state")
    {'mean': array([0., 0.])}
    """
    target = Path(path).resolve()  # a link stays a link
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f'The folder of "{path}" must exist, got "{target.parent}"; make it, or take another one.'
        )
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        # Not np.savez: it appends ".npz" to a path, and takes an array named "file" for its own argument.
        with temporary.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
        temporary.replace(target)
    except OSError as error:
        if error.filename == str(temporary):  # which nobody asked for
            error.filename = str(path)
            del error.filename2
        raise
    finally:
        temporary.unlink(missing_ok=True)


def read_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an ``.npz``, executing nothing in it; see `load_params` for the errors."""
    with open(path, "rb") as file:
        try:
            zipfile.ZipFile(file).close()  # np.load would take any other file for a pickle
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f'An .npz file of plain arrays was expected at "{path}": {error}.') from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(
                f'An .npz file was expected at "{path}", but its entry "{name}" is not an array.'
            )
    return arrays
