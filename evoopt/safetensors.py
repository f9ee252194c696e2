"""Parameters in ``.safetensors`` files, which other libraries and languages read, too.

The format, https://github.com/huggingface/safetensors: the length of a header, 64 bits; the header,
a JSON object with the type, shape and place of each tensor and a ``__metadata__`` of texts; then
the numbers, little-endian and row-major.
"""

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import called
from evoopt.files import require_name
from evoopt.leaves import Leaf, describe, read_json
from evoopt.npz import damaged
from evoopt.packages import require_package
from evoopt.params import ParamSpec
from evoopt.replacing import replace
from evoopt.tree import as_array, loads, mismatch, nest, read_tree, select
from evoopt.types import Array

_KEY = "evoopt"  # the entry of the metadata with the text of `ParamSpec.to_json`
_METADATA = "__metadata__"  # the key of the header beside the tensors
_KIND = "A safetensors file of parameters"
_DTYPES = {  # the format's names, and numpy's
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BOOL": "bool"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8"},
    **{"U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8"},
}
_BFLOAT16 = "BF16"  # the upper half of a float32, which numpy does not have


@called
def save_safetensors(path: str | os.PathLike[str], tree: object, spec: ParamSpec | None = None) -> None:
    """Save a tree and its spec as a ``.safetensors`` file, each leaf under its dotted name.

    Parameters
    ----------
    path : str or path
        The file, named exactly so. It is replaced in one step: a reader sees the old file or the
        new one.
    tree : nested mapping, list or tuple
        As `ParamSpec.from_params` takes it. A namedtuple becomes a plain tuple, another mapping a
        dict, and bfloat16 float32.
    spec : ParamSpec, optional
        A description of the tree, which goes into the metadata of the file: containers and their
        order, shapes, dtypes, dimension names, and which leaves are trainable. Trainable leaves are
        saved in its dtypes; all values are the tree's, also of frozen leaves. By default the
        floating leaves are trainable, except statistics of batch normalization.

    Raises
    ------
    ValueError
        For a tree that does not fit the spec, a key or leaf that cannot be named or saved, or a
        tree without a trainable number.
    ImportError
        Without the package safetensors.

    Examples
    --------
    >>> tree = {"dense_0": {"bias": np.zeros(2)}, "dropout_0": {"key": np.uint32([3, 7])}}
    >>> save_safetensors("net.safetensors", tree)  # doctest: +SKIP
    >>> tree, spec = load_safetensors("net.safetensors")  # doctest: +SKIP
    >>> spec  # doctest: +SKIP
    ParamSpec(2 parameters, float64: dense_0.bias (2,); frozen: dropout_0.key (2,))
    >>> save_safetensors("best.safetensors", spec.unravel(np.ones(2)), spec)  # doctest: +SKIP
    """
    library = _library("save_safetensors")
    spec = _describe(tree) if spec is None else spec
    if not isinstance(spec, ParamSpec):
        raise ValueError(f"spec must be a ParamSpec, got {shown(spec)}.")
    text, values = spec.to_json(), spec.flat(tree)
    tensors = {leaf.name: _tensor(leaf, values[leaf.name]) for leaf in read_json(text)[1]}
    content = library.numpy.save(tensors, {_KEY: text})

    def write(file: BinaryIO) -> None:
        file.write(content)

    replace(path, write)


@called
def load_safetensors(path: str | os.PathLike[str]) -> tuple[Any, ParamSpec]:
    """Load a file of `save_safetensors`, or one of another program.

    Parameters
    ----------
    path : str or path
        Nothing in the file is executed. The format has no checksums: most damage of the header is
        found, a changed number is not.

    Returns
    -------
    tree : nested dict, list or tuple
        Leaves are arrays, bfloat16 ones of float32.
    spec : ParamSpec
        The spec that was saved. For the file of another program, whose dotted names become nested
        dicts, the floating leaves are trainable, except statistics of batch normalization.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, its names do not form a tree, it has no trainable number, or a tensor is
        of a type that numpy does not have.
    ImportError
        Without the package safetensors.

    See `save_safetensors` for an example.
    """
    library = _library("load_safetensors")
    with open(arguments.path("path", path), "rb") as file:
        content = file.read()
    try:
        tensors = dict(_arrays(library.deserialize(content)))
        return _open(tensors, _metadata(content).get(_KEY))
    except (library.SafetensorError, ValueError, RecursionError) as error:
        raise damaged(_KIND, path, error) from error


def _library(name: str) -> Any:
    """Return the package safetensors, which the function `name` needs, with its part for NumPy."""
    library = require_package("safetensors", name, '"evoopt[interop]"')
    import_module("safetensors.numpy")
    return library


def _describe(tree: object) -> ParamSpec:
    """Describe a tree, in which integers are frozen without being named."""
    _, values = read_tree(tree)
    floating = {name for name in select(list(values), None) if values[name].dtype.kind == "f"}
    return ParamSpec.from_params(tree, floating.__contains__)


def _tensor(leaf: Leaf, value: object) -> Array:
    """Return the value of a leaf as the format has it; raise ValueError if it does not fit."""
    require_name(leaf.name)
    if leaf.name == _METADATA:
        raise mismatch(leaf.name, "another name", "the one of the metadata", "rename the key")
    if leaf.dtype.name not in _DTYPES.values():
        raise mismatch(leaf.name, "a float of at most 64 bits", leaf.dtype, "convert it by astype(float)")
    array = as_array(leaf.name, value)
    if array.shape != leaf.shape or not (leaf.trainable or array.dtype == leaf.dtype):
        expected = f"shape {leaf.shape} of dtype {leaf.dtype}"
        raise mismatch(leaf.name, expected, describe(array), "save one tree that the spec describes")
    return array.astype(leaf.dtype.newbyteorder("<"), order="C", copy=False)


def _arrays(tensors: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterable[tuple[str, Array]]:
    """Yield the names and arrays of tensors, which the package has compared with the header."""
    for name, tensor in tensors:
        if tensor["dtype"] == _BFLOAT16:
            bits = _array(name, tensor, "uint16").astype(np.uint32)
            yield name, np.left_shift(bits, 16, out=bits).view(np.float32)
        elif tensor["dtype"] in _DTYPES:
            yield name, _array(name, tensor, _DTYPES[tensor["dtype"]])
        else:
            raise ValueError(f'its tensor "{name}" is of type {tensor["dtype"]}, which numpy does not have')


def _array(name: str, tensor: Mapping[str, Any], dtype: str) -> Array:
    """Return the numbers of a tensor; a copy, so that it can be written to and is aligned."""
    stored = np.dtype(dtype).newbyteorder("<")
    try:
        found: Array = np.ndarray(tensor["shape"], stored, tensor["data"])
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f'its tensor "{name}" cannot have the shape {tensor["shape"]}: {error}') from error
    if stored == np.bool_ and found.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f'its tensor "{name}" has flags that are neither true nor false')
    return found.astype(np.dtype(dtype))


def _metadata(content: bytes) -> Any:
    """Return the metadata of a file whose header the package has read."""
    start = 8
    length = int.from_bytes(content[:start], "little")
    return loads(content[start : start + length]).get(_METADATA, {})


def _open(tensors: dict[str, Array], text: str | None) -> tuple[Any, ParamSpec]:
    """Return the tree of tensors and its spec; `text` describes them, if evoopt wrote the file."""
    if text is None:
        tree = nest(tensors)
        return tree, _describe(tree)
    root, leaves = read_json(text)
    described = {leaf.name: (leaf.shape, leaf.dtype) for leaf in leaves}
    if described != {name: (array.shape, array.dtype) for name, array in tensors.items()}:
        raise ValueError("its tensors are not the ones that its metadata describe")
    frozen = {leaf.name: tensors[leaf.name] for leaf in leaves if not leaf.trainable}
    tree = root.build(iter([tensors[leaf.name] for leaf in leaves]))
    return tree, ParamSpec(root, leaves, frozen)
