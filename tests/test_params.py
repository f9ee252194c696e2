"""Specs of parameters: order, views, trees, refusals and files."""

import copy
import json
import pickle
import zipfile
from collections import namedtuple

import numpy as np
import pytest
from helpers.refusals import refusal
from helpers.trees import FLOATS, relaxed, same, spec_of, trees, trees_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evoopt.files import load_params, read_npz, save_params, write_npz
from evoopt.params import ParamSpec

Pair = namedtuple("Pair", ["weight", "step"])


def network():
    """Return the parameters of a network, whose vector is 0, 1, ..., 8."""
    return {
        "dense_1": {"kernel": np.float32([[7], [8]]), "bias": np.float32([6])},
        "dense_0": {"kernel": np.float32([[2, 3], [4, 5]]), "bias": np.float32([0, 1])},
    }


def mixed():
    """Return a tree with every kind of container, scalars, an empty container, and integers."""
    layers = [{"kernel": np.ones((2, 3), np.float32)}, {"kernel": np.zeros((3, 1), np.float32), "bias": 0.5}]
    return {
        "layers": layers,
        "pair": Pair(np.float64([1, 2]), 7),
        "empty": {},
        "tuple": ([], np.int8([1, 2])),
    }


MIXED_FROZEN = ["pair.1", "tuple.1"]


def mixed_spec():
    return ParamSpec.from_params(mixed(), lambda name: name not in MIXED_FROZEN)


def replaced(tree, **changes):
    """Return a tree with changed children in `dense_0`; None removes a child."""
    dense = {**tree["dense_0"], **changes}
    return {**tree, "dense_0": {key: value for key, value in dense.items() if value is not None}}


def leaves(tree):
    """Return all leaves, in no special order."""
    if isinstance(tree, dict | list | tuple):
        return [
            leaf for child in (tree.values() if isinstance(tree, dict) else tree) for leaf in leaves(child)
        ]
    return [tree]


# --- order and views


def test_origin_network_has_nine_numbers_in_the_documented_order():
    spec = ParamSpec.from_params(network())
    assert spec.names == ("dense_0.bias", "dense_0.kernel", "dense_1.bias", "dense_1.kernel")
    assert (spec.size, spec.shapes, spec.offsets) == (9, ((2,), (2, 2), (1,), (2, 1)), (0, 2, 6, 7))
    assert spec.slice("dense_0.kernel") == slice(2, 6)
    vector = spec.ravel(network())
    assert vector.dtype == spec.dtype == np.float32
    np.testing.assert_array_equal(vector, [0, 1, 2, 3, 4, 5, 6, 7, 8])
    assert same(spec.unravel(vector), network())
    assert repr(spec).startswith("ParamSpec(9 parameters, float32: dense_0.bias (2,), dense_0.kernel (2, 2)")


def test_keys_sort_as_strings_and_positions_as_numbers():
    tree = {"dense_2": 1.0, "dense_10": 2.0, "Z": [float(i) for i in range(11)]}
    names = ParamSpec.from_params(tree).names
    assert names == (*(f"Z.{i}" for i in range(11)), "dense_10", "dense_2")


@pytest.mark.frameworks
def test_order_is_that_of_jax():
    flatten = pytest.importorskip("jax.flatten_util").ravel_pytree  # before hypothesis, which may object

    @settings(deadline=None, max_examples=20)
    @given(trees_of(np.float32))
    def require_order(tree):
        tree["scalars"] = {f"dense_{index}": np.float32(index) for index in range(12)}
        assert same(ParamSpec.from_params(tree).ravel(tree), np.asarray(flatten(tree)[0]))

    require_order()


@pytest.mark.parametrize("layout", ["C", "F", "reversed", "columns", "every other row"])
def test_leaves_are_views_of_any_layout(layout):
    spec = ParamSpec.from_params({**network(), "scale": 1.0})
    base = np.arange(6 * 40, dtype=np.float64).reshape(6, 40)
    population = {
        "C": base[:, :10].copy(),
        "F": np.asfortranarray(base[:, :10]),
        "reversed": base[::-1, 9::-1],
        "columns": base[:, 3:33:3],
        "every other row": base[::2, :10],
    }[layout]
    tree = spec.unravel(population)
    for row, vector in enumerate(population):
        one = spec.unravel(vector)
        assert all(np.shares_memory(leaf, vector) for leaf in leaves(one))
        assert all(np.shares_memory(leaf, population) for leaf in leaves(tree))
        assert all(same(leaf, stacked[row]) for leaf, stacked in zip(leaves(one), leaves(tree), strict=True))
    tree["dense_0"]["kernel"][1, 0, 1] = -1
    spec.unravel(population[1])["scale"][()] = -2
    assert population[1, 3] == -1
    assert population[1, 9] == -2
    assert same(spec.ravel(tree, out=population.copy()), population.copy())


def test_ravel_writes_into_a_row_even_from_its_own_permuted_views():
    spec = ParamSpec.from_shapes({"a": 2, "b": 2})
    population = np.arange(12.0).reshape(3, 4)
    tree = spec.unravel(population[1])
    spec.ravel({"a": tree["b"], "b": tree["a"]}, out=population[1])
    np.testing.assert_array_equal(population, [[0, 1, 2, 3], [6, 7, 4, 5], [8, 9, 10, 11]])


def test_frozen_leaves_are_copied_once_and_put_back_read_only():
    tree, spec = mixed(), mixed_spec()
    source = tree["tuple"][1]
    frozen = ParamSpec.from_params(tree, ["layers", "pair.0"])
    source[:] = 0
    np.testing.assert_array_equal(frozen.frozen["tuple.1"], [1, 2])
    assert spec == frozen
    assert spec.size == 12
    for array, shape in [(np.zeros(12), (2,)), (np.zeros((3, 12)), (3, 2))]:
        leaf = spec.unravel(array)["tuple"][1]
        assert leaf.shape == shape
        assert leaf.dtype == np.int8
        with pytest.raises(ValueError, match="read-only"):
            leaf[0] = 1
    assert spec.ravel(spec.unravel(np.ones((3, 12)))).shape == (3, 12)
    changed = {**mixed(), "tuple": ([], np.float32([5, 5]))}
    assert same(spec.ravel(changed), spec.ravel(mixed()))


def test_cast_copies_into_the_dtypes_of_the_leaves():
    spec, vector = mixed_spec(), mixed_spec().ravel(mixed())
    assert vector.dtype == np.float64
    assert [leaf.dtype for leaf in leaves(spec.unravel(vector.astype(np.float32)))[:2]] == [np.float32] * 2
    tree = spec.unravel(vector, cast=True)
    assert same(tree, mixed())
    assert all(leaf.flags.writeable and not np.shares_memory(leaf, vector) for leaf in leaves(tree))


@pytest.mark.parametrize(
    ("trainable", "names"),
    [
        ("dense_1", ("dense_1.bias", "dense_1.kernel")),
        (["*.bias"], ("dense_0.bias", "dense_1.bias")),
        (["dense_0.kernel", "dense_[1-9].k*"], ("dense_0.kernel", "dense_1.kernel")),
        (lambda name: name.endswith("0.bias"), ("dense_0.bias",)),
    ],
)
def test_trainable_chooses_leaves(trainable, names):
    spec = ParamSpec.from_params(network(), trainable)
    assert spec.names == names
    assert sorted([*names, *spec.frozen]) == sorted(ParamSpec.from_params(network()).names)


def test_from_shapes():
    shapes = {"conv.kernel": ((3, 2), "float64", ("in", None)), "conv.bias": 2, "scale": ((), np.float16)}
    spec = ParamSpec.from_shapes(shapes)
    assert spec.names == ("conv.bias", "conv.kernel", "scale")
    assert spec.shapes == ((2,), (3, 2), ())
    assert spec.dtypes == (np.float32, np.float64, np.float16)
    assert spec.dimension_names == (None, ("in", None), None)
    by_arrays = {"conv": {"bias": np.float32([0, 0]), "kernel": np.zeros((3, 2))}, "scale": np.float16(1)}
    without_names = ParamSpec.from_shapes({**shapes, "conv.kernel": ((3, 2), "float64")})
    assert without_names == ParamSpec.from_params(by_arrays) != spec
    assert ParamSpec.from_json(spec.to_json()) == spec
    assert hash(without_names) == hash(ParamSpec.from_params(by_arrays))


def test_specs_differ_by_containers_and_frozen_values():
    assert ParamSpec.from_params({"a": [1.0]}) != ParamSpec.from_params({"a": {"0": 1.0}})
    assert ParamSpec.from_params({"a": 1.0, "n": 2}, "a") != ParamSpec.from_params({"a": 1.0, "n": 3}, "a")


@pytest.mark.frameworks
def test_tensors_are_leaves():
    torch = pytest.importorskip("torch")
    spec = ParamSpec.from_params({"kernel": torch.ones(2, 3)})
    assert same(spec.ravel({"kernel": torch.ones(2, 3)}), np.ones(6, np.float32))


# --- properties of random trees


@relaxed
@given(trees, st.data())
def test_ravel_and_unravel_are_inverse(tree, data):
    spec = spec_of(tree)
    vector = data.draw(hnp.arrays(data.draw(st.sampled_from(FLOATS)), spec.size))
    assert same(spec.ravel(spec.unravel(vector), out=np.empty_like(vector)), vector)
    assert same(spec.unravel(spec.ravel(tree), cast=True), tree)
    population = np.stack([vector, vector[::-1], vector])
    assert same(spec.ravel(spec.unravel(population), out=np.empty_like(population)), population)
    stacked, last = leaves(spec.unravel(population)), leaves(spec.unravel(vector[::-1]))
    assert all(same(leaf[1].copy(), one.copy()) for leaf, one in zip(stacked, last, strict=True))


@relaxed
@given(trees)
def test_spec_survives_json_pickle_and_copies(tree):
    spec = spec_of(tree)
    text = spec.to_json()
    assert json.loads(text)
    vector = spec.ravel(tree)
    for twin in (
        ParamSpec.from_json(text, spec.frozen),
        pickle.loads(pickle.dumps(spec)),
        copy.deepcopy(spec),
    ):
        assert twin == spec
        assert same(twin.unravel(vector), spec.unravel(vector))
        assert not any(value.flags.writeable for value in twin.frozen.values())


@relaxed
@given(trees)
def test_npz_round_trip(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "random"
    save_params(path, tree)
    assert same(load_params(path), tree)


# --- refusals


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, ["trainable"]),
        ({"a": {}, "b": []}, ["trainable"]),
        (np.zeros(3), ["mapping", "ndarray"]),
        (None, ["mapping", "NoneType"]),
        ({"a": {"": 1.0}}, ['"a"', "''"]),
        *[({"a": [{key: 1.0}]}, ['"a.0"', repr(key)]) for key in ((3, 4), 1.5, True, None, b"key")],
        ({"a": {"b": 1j}}, ['"a.b"', "complex"]),
        ({"a": {"b": "text"}}, ['"a.b"', "real numbers, got text", "float"]),
        ({"a": None}, ["trainable", "0 leaves"]),
        ({"a": True}, ['"a"', "bool", "freeze"]),
    ],
)
def test_from_params_refuses(tree, words):
    refusal(lambda: ParamSpec.from_params(tree), *words)


@pytest.mark.parametrize("trainable", ["dens", ["dense_0", "dense_2"], ["dense_0.kernel.x"]])
def test_patterns_must_match(trainable):
    wrong = trainable if isinstance(trainable, str) else trainable[-1]
    refusal(lambda: ParamSpec.from_params(network(), trainable), f'"{wrong}"', "dense_0.")
    refusal(lambda: ParamSpec.from_params(network(), []), "trainable")


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"a": 2, "a.b": 3}, ['"a"', '"a.b"', "both"]),
        ({"a.b.c": 2, "a.b": 3}, ['"a.b"', '"a.b.c"', "both"]),
        ({"a..b": 2}, ['"a"', "''"]),
        ({3: 2}, ["3"]),
        ({"a": (-1, 2)}, ['"a"', "-1"]),
        ({"a": "x"}, ['"a"', "'x'"]),
        ({"a": ((2,), "float32", None, 1)}, ['"a"', "(shape, dtype, dimension names)"]),
        ({"a": ((2,), "float99")}, ['"a"', "float99"]),
        ({"a": ((2, 3), None, ("in",))}, ['"a"', "(2, 3)", "('in',)"]),
        ({"a": ((2, 3), np.int32)}, ['"a"', "float", "int32"]),
        ({"a": (0, 3)}, ["trainable"]),
        ({}, ["trainable"]),
    ],
)
def test_from_shapes_refuses(shapes, words):
    refusal(lambda: ParamSpec.from_shapes(shapes), *words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: replaced(t, bias=np.zeros(3)), ['"dense_0.bias"', "(2,)", "(3,)"]),
        (lambda t: replaced(t, kernel=np.zeros(4)), ['"dense_0.kernel"', "(2, 2)", "(4,)"]),
        (lambda t: replaced(t, bias=None), ["dense_0.bias", "missing"]),
        (lambda t: replaced(t, scale=1.0), ["dense_0.scale", "surplus"]),
        (lambda t: replaced(t, kernel=[[2, 3], [4, 5]]), ['"dense_0.kernel"', "a leaf", "a list"]),
        (lambda t: replaced(t, kernel=np.zeros((2, 2), complex)), ['"dense_0.kernel"', "complex128"]),
        (lambda t: {**t, "dense_1": np.zeros(3)}, ['"dense_1"', "a dict", "a leaf"]),
        (lambda t: {**t, "dense_1": [1.0, 2.0]}, ['"dense_1"', "a dict", "a list"]),
        (
            lambda t: replaced(t, bias=np.zeros((5, 2))),
            ['"dense_0.kernel"', "(5,)", "(2, 2)", '"dense_0.bias"'],
        ),
        (lambda t: replaced(t, kernel=np.zeros((5, 2, 2))), ['"dense_0.kernel"', "(2, 2)", "(5, 2, 2)"]),
    ],
)
def test_ravel_refuses_and_leaves_out_untouched(change, words):
    spec, out = ParamSpec.from_params(network()), np.full(9, 3.0)
    refusal(lambda: spec.ravel(change(network()), out=out), *words)
    assert (out == 3).all()


def test_ravel_refuses_other_sequences_and_frozen_shapes():
    spec = mixed_spec()
    refusal(
        lambda: spec.ravel({**mixed(), "layers": mixed()["layers"][:1]}), '"layers"', "length 2", "length 1"
    )
    refusal(
        lambda: spec.ravel({**mixed(), "layers": tuple(mixed()["layers"])}), '"layers"', "a list", "a tuple"
    )
    refusal(lambda: spec.ravel({**mixed(), "pair": (np.zeros(2), 7)}), '"pair"', "a Pair", "a tuple")
    refusal(lambda: spec.ravel({**mixed(), "empty": {"a": 1.0}}), '"empty"', "empty.a", "surplus")
    refusal(lambda: spec.ravel({**mixed(), "tuple": ([], np.int8([1]))}), '"tuple.1"', "(2,)", "(1,)")
    tree = spec.unravel(np.zeros((3, 12)))
    refusal(lambda: spec.ravel({**tree, "pair": Pair(np.zeros((4, 2)), 7)}), '"pair.0"', "(3,)", "(4, 2)")


@pytest.mark.parametrize(
    "out", [np.zeros(8), np.zeros((1, 9)), np.zeros(9, int), [0.0] * 9, np.broadcast_to(0.0, 9)]
)
def test_ravel_refuses_out(out):
    refusal(lambda: ParamSpec.from_params(network()).ravel(network(), out=out), "out")


@pytest.mark.parametrize(
    "array", [np.zeros(10), np.zeros((3, 8)), np.zeros((2, 3, 9)), np.float32(1), np.arange(9)]
)
def test_unravel_refuses(array):
    refusal(
        lambda: ParamSpec.from_params(network()).unravel(array), "(9,)", f"{array.shape}", f"{array.dtype}"
    )


def test_slice_names_the_nearest():
    spec = ParamSpec.from_params(network(), "*.kernel")
    refusal(lambda: spec.slice("dense_0.kernal"), '"dense_0.kernal"', "dense_0.kernel")
    refusal(lambda: spec.slice("dense_0.bias"), '"dense_0.bias"', "frozen")
    refusal(lambda: spec.slice("dense"), '"dense"', "nearest", "dense_0.")
    refusal(lambda: spec.slice(""), '""', "nearest", "dense_0.")
    refusal(lambda: spec.slice(3), "name must be", "got 3")


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [
        ("decoder", 0, 3),
        ("encoder", 3, 11),  # neither encoder_2 nor the frozen leaf
        ("encoder.0", 3, 11),
        ("encoder.0.kernel", 5, 11),
        ("*coder*", 0, 16),
    ],
)
def test_slice_takes_names_prefixes_and_patterns(name, start, stop):
    encoder = [{"kernel": np.ones((2, 3)), "bias": np.ones(2)}, np.ones(4)]
    tree = {"encoder_2": np.ones(5), "encoder": encoder, "decoder": np.ones(3)}
    spec = ParamSpec.from_params(tree, lambda name: name != "encoder.1")
    assert spec.slice(name) == slice(start, stop)


def test_slice_refuses_leaves_with_others_between_them():
    spec = ParamSpec.from_params(network())
    refusal(lambda: spec.slice("*.bias"), '"*.bias"', '"dense_0.kernel" between', "side by side")


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"tree": {"a": null}}', '{"tree": {"a": null}, "leaves": []}']
)
def test_from_json_refuses_other_texts(text):
    refusal(lambda: ParamSpec.from_json(text), "JSON", "to_json")


def test_from_json_needs_exactly_the_frozen_leaves():
    spec = mixed_spec()
    for frozen in (None, {"pair.1": 7}, {**spec.frozen, "other": 1}):
        refusal(lambda frozen=frozen: ParamSpec.from_json(spec.to_json(), frozen), "tuple.1", "pair.1")
    for wrong in (np.int8([1]), np.int16([1, 2])):
        frozen = {**spec.frozen, "tuple.1": wrong}
        refusal(
            lambda f=frozen: ParamSpec.from_json(spec.to_json(), f),
            '"tuple.1"',
            f"{wrong.shape}",
            f"{wrong.dtype}",
        )
    assert type(ParamSpec.from_json(spec.to_json(), spec.frozen).unravel(np.zeros(12))["pair"]) is tuple


# --- files


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "a" * 2**16, "\u00e9" * 2**15])
@pytest.mark.parametrize("nested", [False, True])
def test_keys_that_no_entry_of_a_file_can_have_are_refused(key, nested, tmp_path):
    save_params(path := tmp_path / "net", {"a": np.ones(2)})
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"^The name of a leaf in a file must be Unicode text .*rename its keys\.$"
    ):
        save_params(path, {"z": {key: np.ones(2)}} if nested else {key: np.ones(2)})
    assert path.read_bytes() == before
    save_params(path, {"\u00e9\n" + "a" * 65_520: np.ones(2)})
    assert [len(name) for name in load_params(path)] == [65_522]


def test_npz_is_plain_and_exactly_at_its_path(tmp_path):
    save_params(tmp_path / "net", network())
    assert [file.name for file in tmp_path.iterdir()] == ["net"]
    with np.load(tmp_path / "net", allow_pickle=False) as archive:
        assert set(archive.files) == set(ParamSpec.from_params(network()).names)
    save_params(str(tmp_path / "net"), {**mixed(), "file": 1.0})
    assert same(load_params(tmp_path / "net"), {**mixed(), "file": 1.0, "pair": tuple(mixed()["pair"])})
    np.savez(tmp_path / "foreign.npz", **{"a.b": [1.0, 2.0], "c": 3})
    assert same(load_params(tmp_path / "foreign.npz"), {"a": {"b": np.array([1.0, 2.0])}, "c": 3})


def test_a_failed_write_changes_nothing(tmp_path):
    path = tmp_path / "state.npz"
    write_npz(path, {"a": np.arange(3)})
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(path, {"a": np.zeros(3), "b": np.array([None])})
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    assert same(read_npz(path), {"a": np.arange(3)})


def test_load_refuses_other_files(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        load_params(path)
    np.savez(tmp_path / "objects.npz", a=np.array([None]))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for content in (
        b"",
        b"text",
        (tmp_path / "array.npy").read_bytes(),
        (tmp_path / "objects.npz").read_bytes(),
    ):
        path.write_bytes(content)
        refusal(lambda: load_params(path), ".npz", str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"no array")
    refusal(lambda: load_params(path), "data.pkl", str(path))
    for entry, name in [(b'{"a": null}', "b"), (b"{", "a")]:
        write_npz(path, {".tree": np.frombuffer(entry, np.uint8), name: 1.0})
        refusal(lambda: load_params(path), ".tree", str(path))
    write_npz(path, {"a": 1.0, "a.b": 2.0})
    refusal(lambda: load_params(path), '"a"', '"a.b"')


# ---------------------------------------------------------------- one number for each leaf


def test_expand_gives_each_leaf_its_number():
    spec = ParamSpec.from_shapes({"a.bias": 2, "a.kernel": (2, 3), "b.bias": 1})
    vector = spec.expand({"*": 1, "a": 2.0, "a.kernel": np.float32(0.5)})
    assert vector.dtype == np.float64
    assert vector.tolist() == [2, 2, *[0.5] * 6, 1]
    assert spec.expand({"*.bias": 3, "a.kernel": 4}).tolist() == [3, 3, *[4] * 6, 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": 1.0}, 'At "b.bias" a number was expected, got none'),
        ({"*": 1.0, "c": 2.0}, 'got "c"; the nearest are'),
        ({"*": "large"}, r'The value of "\*" must be real numbers, got text'),
        ({"*": [1.0, 2.0]}, r"a number was expected, got \[1.0, 2.0\]"),
        ({"*": 10**400}, "float64 holds"),
        ({}, "a number was expected, got none"),
    ],
)
def test_expand_refuses(values, message):
    spec = ParamSpec.from_shapes({"a.bias": 2, "b.bias": 1})
    with pytest.raises(ValueError, match=message):
        spec.expand(values)
