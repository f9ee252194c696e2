"""Files of the package safetensors: round trips, files of other programs, and damaged ones."""

import doctest
import json
import re
import sys
import zlib

import numpy as np
import pytest
from helpers import ROOT
from helpers.refusals import refusal
from helpers.trees import relaxed, same, spec_of, trees
from hypothesis import given

import evoopt
from evoopt import ParamSpec, load_safetensors, save_safetensors

DAMAGED = r'^A safetensors file of parameters was expected, but ".*" is damaged: .*[^.]; take another copy\.$'
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
AXON = {  # parameters of an Axon model with dropout and batch normalization
    "dense_0": {"kernel": WEIGHTS, "bias": np.float16([0.1, 6e-8])},
    "dropout_0": {"key": np.uint32([2**32 - 1, 1701])},
    "norm_0": {
        "beta": np.zeros(1),
        "gamma": np.ones(3),
        "mean": np.float32([np.nan, -0.0, 1e-45]),
        "var": np.float64(2),
    },
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder for all examples of a property."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture
def library():
    return pytest.importorskip("safetensors.numpy")


def split(content):
    """Return the header of a file, as JSON, and the bytes of its tensors."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def joined(header, numbers=b""):
    """Return the content of a file; `header` is a dict, or its JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def tensor(dtype, shape, start, stop):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


# --- without the package


@pytest.mark.parametrize("call", [load_safetensors, lambda path: save_safetensors(path, AXON)])
def test_without_safetensors(call, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r'_safetensors needs .*: pip install "evoopt\[interop\]"\.$'):
        call(path)
    assert not path.exists()


# --- round trips


@pytest.mark.frameworks
@relaxed
@given(trees)
def test_trees_and_specs_come_back_bit_for_bit(folder, tree):
    pytest.importorskip("safetensors")
    spec = spec_of(tree)
    save_safetensors(folder / "net", tree, spec)
    loaded, again = load_safetensors(folder / "net")
    assert same(loaded, tree)
    assert again == spec
    np.testing.assert_array_equal(again.ravel(loaded), spec.ravel(tree))
    save_safetensors(folder / "again", loaded, again)
    assert (folder / "again").read_bytes() == (folder / "net").read_bytes()


@pytest.mark.frameworks
def test_keys_and_statistics_go_along_while_the_rest_evolves(library, path):
    save_safetensors(path, AXON)
    tree, spec = load_safetensors(path)
    assert same(tree, AXON)
    assert spec.names == ("dense_0.bias", "dense_0.kernel", "norm_0.beta", "norm_0.gamma")
    assert list(spec.frozen) == ["dropout_0.key", "norm_0.mean", "norm_0.var"]
    save_safetensors(path, spec.unravel(spec.ravel(tree) + 1), spec)
    evolved = library.load_file(path)
    assert {name: array.dtype.name for name, array in evolved.items()} == {
        "dense_0.bias": "float16",
        "dense_0.kernel": "float32",
        "dropout_0.key": "uint32",
        "norm_0.beta": "float64",
        "norm_0.gamma": "float64",
        "norm_0.mean": "float32",
        "norm_0.var": "float64",
    }
    assert same(evolved["dropout_0.key"], AXON["dropout_0"]["key"])
    assert same(evolved["norm_0.mean"], AXON["norm_0"]["mean"])
    assert same(evolved["norm_0.var"], AXON["norm_0"]["var"])
    assert same(evolved["dense_0.kernel"], WEIGHTS + 1)
    assert load_safetensors(path)[1] == spec


@pytest.mark.frameworks
def test_many_tensors_in_any_order_are_the_same_vector(library, path):
    """A program may write the tensors in the order of hashes."""
    tree = {"layers": [{"kernel": np.full((2, 1), i), "bias": np.full(1, -i)} for i in np.arange(40.0)]}
    save_safetensors(path, tree)
    header, numbers = split(path.read_bytes())
    metadata = {"__metadata__": header.pop("__metadata__")}
    shuffled = metadata | {
        name: header[name] for name in sorted(header, key=lambda name: zlib.crc32(name.encode()))
    }
    path.write_bytes(joined(shuffled, numbers))
    loaded, spec = load_safetensors(path)
    assert same(loaded, tree)
    assert spec.names[2:6] == ("layers.1.bias", "layers.1.kernel", "layers.2.bias", "layers.2.kernel")
    np.testing.assert_array_equal(spec.ravel(loaded), ParamSpec.from_params(tree).ravel(tree))


@pytest.mark.frameworks
def test_names_of_dimensions_int_keys_and_absent_leaves_come_back(library, path):
    spec = ParamSpec.from_shapes({"kernel": ((2, 3), "float32", ("in", None))})
    save_safetensors(path, {"kernel": WEIGHTS.T.copy().T}, spec)
    assert load_safetensors(path)[1].dimension_names == (("in", None),)
    tree = {10: WEIGHTS, 9: (None, [1.5]), "empty": {}}
    save_safetensors(path, tree)
    loaded, spec = load_safetensors(path)
    assert (list(loaded), loaded[9][0], loaded["empty"]) == ([9, 10, "empty"], None, {})
    assert same(loaded[9][1], [1.5])
    assert spec == ParamSpec.from_params(tree)


@pytest.mark.frameworks
def test_loaded_arrays_can_be_written_to(library, path):
    save_safetensors(path, {"a": np.array(True), "b": WEIGHTS, "c": np.zeros((0, 2))})
    for array in load_safetensors(path)[0].values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.dtype.isnative


@pytest.mark.frameworks
def test_the_example_of_the_documentation_runs(library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_safetensors("model.safetensors", AXON)
    page = (ROOT / "docs" / "reference" / "parameters.md").read_text()
    (code,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    task = evoopt.Objective(lambda x: (x**2).sum())
    exec(code.replace("max_generations=100", "max_generations=2"), names := {"evoopt": evoopt, "task": task})
    best, spec = load_safetensors("best.safetensors")
    assert spec == names["spec"]
    assert same(best, spec.unravel(names["result"].x, cast=True))


@pytest.mark.frameworks
def test_the_example_of_the_docstring_runs(library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = save_safetensors.__doc__.replace("  # doctest: +SKIP", "")
    names = {"np": np, "save_safetensors": save_safetensors, "load_safetensors": load_safetensors}
    example = doctest.DocTestParser().get_doctest(text, names, "example", None, None)
    assert doctest.DocTestRunner().run(example) == (0, len(example.examples))


# --- files of other programs


@pytest.mark.frameworks
@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}], ids=str)
def test_files_of_other_programs_are_nested_trees(library, path, metadata):
    state = {
        "0.weight": WEIGHTS,
        "1.num_batches_tracked": np.array(7),
        "1.weight": np.ones(2),
        "key": WEIGHTS[0],
    }
    library.save_file(state, path, metadata)
    tree, spec = load_safetensors(path)
    nested = {"0": {"weight": WEIGHTS}, "1": {"num_batches_tracked": np.array(7), "weight": np.ones(2)}}
    assert same(tree, nested | {"key": WEIGHTS[0]})
    assert spec.names == ("0.weight", "1.weight", "key")
    assert same(spec.flat(tree), state)


@pytest.mark.frameworks
def test_each_bfloat16_is_read_as_its_float32(library, path):
    bits = np.arange(2**16, dtype="<u2")
    header = {"a": tensor("BF16", [256, 256], 0, 2**17), "b": tensor("BF16", [], 2**17, 2**17 + 2)}
    path.write_bytes(joined(header, bits.tobytes() + bits[0x3FC0:0x3FC1].tobytes()))
    tree, spec = load_safetensors(path)
    assert same(tree["b"], np.float32(1.5))
    assert same(tree["a"].view(np.uint32), (bits.astype(np.uint32) << 16).reshape(256, 256))
    assert set(spec.dtypes) == {np.dtype(np.float32)}


@pytest.mark.frameworks
def test_bfloat16_is_saved_as_float32(library, path):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    save_safetensors(path, {"a": WEIGHTS.astype(bfloat16)})
    assert same(library.load_file(path), {"a": WEIGHTS})


# --- trees and specs that cannot be saved

SPEC = ParamSpec.from_params({"a": WEIGHTS, "step": np.int32(7)}, trainable="a")


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": np.zeros((4, 2, 3)), "step": np.int32(7)}, ['"a"', "(2, 3)", "(4, 2, 3)"]),
        ({"a": WEIGHTS.T, "step": np.int32(7)}, ['"a"', "(2, 3)", "(3, 2)"]),
        ({"a": WEIGHTS, "step": 7}, ['"step"', "int32", "int64"]),
        ({"a": WEIGHTS}, ["step"]),
        ({"a": WEIGHTS, "step": None}, ['"step"']),
        ({"a": WEIGHTS + 1j, "step": np.int32(7)}, ['"a"', "complex"]),
    ],
)
def test_trees_that_do_not_fit_the_spec_are_refused(library, path, tree, words):
    save_safetensors(path, {"a": WEIGHTS, "step": np.int32(8)}, SPEC)
    before = path.read_bytes()
    refusal(lambda: save_safetensors(path, tree, SPEC), *words)
    assert [file.read_bytes() for file in path.parent.iterdir()] == [before]


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"__metadata__": WEIGHTS}, ['"__metadata__"', "rename"]),
        ({"a\0b": WEIGHTS}, ["Unicode text", "rename"]),
        ({"\ud800": WEIGHTS}, ["Unicode text", "rename"]),
        ({"a": np.arange(3)}, ["A trainable leaf"]),
        ({"a": WEIGHTS, "a.b": WEIGHTS}, ['"a" and "a.b"']),
        (WEIGHTS, ["mapping"]),
    ],
)
def test_trees_that_no_file_can_hold_are_refused(library, path, tree, words):
    refusal(lambda: save_safetensors(path, tree), *words)
    assert not path.exists()


@pytest.mark.frameworks
@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64")
def test_wider_floats_are_refused(library, path):
    refusal(lambda: save_safetensors(path, {"a": np.zeros(2, np.longdouble)}), '"a"', "64 bits", "float128")


@pytest.mark.frameworks
def test_other_specs_and_paths_are_refused(library, path):
    refusal(lambda: save_safetensors(path, AXON, "norm_0"), "spec must be a ParamSpec, got 'norm_0'")
    refusal(lambda: save_safetensors(path.parent, AXON), "folder")
    with pytest.raises(FileNotFoundError):
        load_safetensors(path)


# --- damaged files


def refuses(path, content, *words):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=DAMAGED) as caught:
        load_safetensors(path)
    assert [word for word in (*words, str(path)) if word not in str(caught.value)] == []


@pytest.mark.frameworks
def test_parts_of_files_are_refused(library, path):
    save_safetensors(path, AXON)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        refuses(path, content[:length])
    refuses(path, content + b"\0")
    refuses(path, b"PK\3\4" + content)


@pytest.mark.frameworks
def test_a_changed_bit_of_the_header_is_found_or_does_not_matter(library, path):
    save_safetensors(path, AXON)
    content = path.read_bytes()
    _, spec = load_safetensors(path)
    faults = []
    places = range(len(content) - len(split(content)[1]))
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            tree, again = load_safetensors(path)
        except ValueError as error:
            faults.append(str(error))
            continue
        assert again == spec, place
        assert same(tree, AXON), place
    assert len(faults) > 0.6 * len(places)
    assert [fault for fault in faults if not re.match(DAMAGED, fault, re.DOTALL)] == []


WRONG = {
    "another type": (joined({"a": tensor("F8_E4M3", [2], 0, 2)}, bytes(2)), "F8_E4M3"),
    "flags": (joined({"a": tensor("BOOL", [2], 0, 2)}, b"\1\2"), "neither true nor false"),
    "many dimensions": (joined({"a": tensor("F32", [1] * 70, 0, 4)}, bytes(4)), "shape"),
    "a large dimension": (joined({"a": tensor("F32", [0, 2**62], 0, 0)}), "shape"),
    "a name twice": (b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}', "once"),
    "a leaf that is a container": (
        joined({"a": tensor("F32", [1], 0, 4), "a.b": tensor("F32", [1], 4, 8)}, bytes(8)),
    ),
    "deep names": (joined({".".join("a" * 30_000): tensor("F32", [1], 0, 4)}, bytes(4)), "levels"),
    "no name": (joined({"": tensor("F32", [1], 0, 4)}, bytes(4)),),
    "integers alone": (joined({"a": tensor("U32", [1], 0, 4)}, bytes(4)), "trainable"),
    "nothing": (joined({}), "trainable"),
}
TWICE = WRONG["a name twice"][0]
WRONG["a name twice"] = (joined(TWICE + b", " + TWICE[1:] + b"}", bytes(4)), "once")


@pytest.mark.frameworks
@pytest.mark.parametrize("kind", WRONG)
def test_other_content_is_refused(kind, library, path):
    content, *words = WRONG[kind]
    refuses(path, content, *words)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "{",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"bias"', '"other"'),
        lambda text: text.replace("dense_0", "dense_1"),
        lambda text: text.replace('"float16"', '"float32"'),
        lambda text: text.replace('"uint32", "dimension_names": null, "trainable": false', '"uint32"'),
        lambda text: text.replace("false", "true"),
        lambda text: text.replace("[2, 3]", "[3, 2]"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(change, library, path):
    save_safetensors(path, AXON)
    header, numbers = split(path.read_bytes())
    text = header["__metadata__"]["evoopt"]
    header["__metadata__"]["evoopt"] = change(text)
    assert change(text) != text
    refuses(path, joined(header, numbers))
