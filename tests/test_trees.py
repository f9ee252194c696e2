"""Trees of parameters of other libraries: stand-ins, and the libraries if they are installed."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import pytest
from helpers.refusals import refusal

from evoopt import ParamSpec, load_params, save_params
from evoopt.tree import MOST_LEVELS


class FrozenDict(Mapping):
    """A mapping like Flax's: no dict, whose children become such mappings when they are taken."""

    def __init__(self, content):
        self._content = content

    def __getitem__(self, key):
        value = self._content[key]
        return FrozenDict(value) if isinstance(value, dict) else value

    def __iter__(self):
        return iter(self._content)

    def __len__(self):
        return len(self._content)


class Variable:
    """A leaf that holds an array, like nnx's."""

    def __init__(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype)


class Tensor:
    """A tensor like torch's, which numpy reads only detached, on the host and in its own dtypes."""

    def __init__(self, array, requires_grad=False, device="cpu", dtype=None):
        self._array, self.requires_grad, self.device = np.asarray(array), requires_grad, device
        self.dtype = dtype or f"torch.{self._array.dtype}"

    def _with(self, **changes):
        kept = {"requires_grad": self.requires_grad, "device": self.device, "dtype": self.dtype}
        return Tensor(self._array, **(kept | changes))

    def detach(self):
        return self._with(requires_grad=False)

    def cpu(self):
        return self._with(device="cpu")

    def float(self):
        return self._with(dtype="torch.float32")

    def __len__(self):
        return len(self._array)

    def __getitem__(self, index):
        return Tensor(self._array[index], self.requires_grad, self.device, self.dtype)

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.device != "cpu":
            raise TypeError(f"can't convert {self.device} device type tensor to numpy.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._array


KERNEL, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([7, 8])
PLAIN = {"dense": {"kernel": KERNEL, "bias": BIAS}}


def saved(tree, tmp_path):
    save_params(tmp_path / "tree.npz", tree)
    return load_params(tmp_path / "tree.npz")


def equal(a, b):
    """Whether two trees have equal containers and keys of equal types, and equal arrays."""
    if isinstance(a, dict):
        return (
            type(b) is dict and list(map(repr, a)) == list(map(repr, b)) and all(equal(a[k], b[k]) for k in a)
        )
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return (a is None and b is None) or (a is not None and np.array_equal(a, b) and a.dtype == b.dtype)


# --- every kind of tree is the plain one

SAME_AS_PLAIN = {
    "a mapping": FrozenDict(PLAIN),
    "an ordered dict": OrderedDict(PLAIN),
    "keys with dots": {"dense.kernel": KERNEL, "dense.bias": BIAS},
    "keys with dots in a mapping": FrozenDict({"dense.kernel": KERNEL, "dense.bias": BIAS}),
    "variables": {"dense": FrozenDict({"kernel": Variable(KERNEL), "bias": Variable(BIAS)})},
    "tensors": {"dense": {"kernel": Tensor(KERNEL), "bias": Tensor(BIAS)}},
    "tensors with gradients": {"dense.kernel": Tensor(KERNEL, True), "dense.bias": Tensor(BIAS, True)},
    "tensors of a device": {"dense.kernel": Tensor(KERNEL, True, "cuda:0"), "dense.bias": Tensor(BIAS)},
    "tensors of bfloat16": {
        "dense.kernel": Tensor(KERNEL, True, "cuda:0", "torch.bfloat16"),
        "dense.bias": Tensor(BIAS, dtype="torch.bfloat16"),
    },
}


@pytest.mark.parametrize("kind", SAME_AS_PLAIN)
def test_trees_of_other_libraries_are_the_plain_one(kind, tmp_path):
    tree, spec = SAME_AS_PLAIN[kind], ParamSpec.from_params(PLAIN)
    assert ParamSpec.from_params(tree) == spec
    vector = spec.ravel(tree)
    np.testing.assert_array_equal(vector, [7, 8, 0, 1, 2, 3, 4, 5])
    assert equal(spec.unravel(vector), {"dense": {"bias": BIAS, "kernel": KERNEL}})
    assert equal(saved(tree, tmp_path), {"dense": {"bias": BIAS, "kernel": KERNEL}})
    frozen = ParamSpec.from_params(tree, trainable="*.bias")
    assert frozen.frozen["dense.kernel"].dtype == np.float32
    np.testing.assert_array_equal(frozen.frozen["dense.kernel"], KERNEL)


SHAPES = {
    "int keys": {10: BIAS, 9: KERNEL, -1: BIAS},
    "int and str keys": {"b": {"10": BIAS, "9": BIAS}, 2: BIAS, "a": [{0: BIAS, "x": BIAS}], 10: KERNEL},
    "absent leaves": {"bias": None, "kernel": KERNEL, "list": [None, BIAS, None], "tuple": (None,)},
    "only int keys below": {"layers": {0: {}, 1: {"w": BIAS}}},
    "empty ones": {"a": {}, "b": [], "c": (), "d": BIAS},
}
IN_ORDER = {
    "int keys": ("-1", "9", "10"),
    "int and str keys": ("2", "10", "a.0.0", "a.0.x", "b.10", "b.9"),
    "absent leaves": ("kernel", "list.1"),
    "only int keys below": ("layers.1.w",),
    "empty ones": ("d",),
}


def in_order(tree):
    """Return the tree with the keys of its dicts in the order of the vector."""
    if isinstance(tree, dict):
        keys = sorted(tree, key=lambda key: (isinstance(key, str), key))
        return {key: in_order(tree[key]) for key in keys}
    return type(tree)(map(in_order, tree)) if isinstance(tree, list | tuple) else tree


@pytest.mark.parametrize("kind", SHAPES)
def test_containers_keys_and_absent_leaves_come_back(kind, tmp_path):
    tree = SHAPES[kind]
    spec = ParamSpec.from_params(tree)
    assert spec.names == IN_ORDER[kind]
    vector = spec.ravel(tree)
    assert equal(spec.unravel(vector), in_order(tree))
    population = np.stack([vector, -vector])
    np.testing.assert_array_equal(spec.ravel(spec.unravel(population)), population)
    assert equal(saved(tree, tmp_path), in_order(tree))
    for twin in (ParamSpec.from_json(spec.to_json()), pickle.loads(pickle.dumps(spec))):
        assert twin == spec
        assert equal(twin.unravel(vector), in_order(tree))


def test_keys_of_another_type_and_absent_leaves_are_differences():
    spec = ParamSpec.from_params({0: BIAS, "x": BIAS, "bias": None})
    refusal(
        lambda: spec.ravel({"0": BIAS, "x": BIAS, "bias": None}), "[0, 'bias', 'x']", "['0', 'bias', 'x']"
    )
    refusal(lambda: spec.ravel({0: BIAS, "x": BIAS, "bias": BIAS}), '"bias"', "None was expected", "a leaf")
    refusal(lambda: spec.ravel({0: BIAS, "x": None, "bias": None}), '"x"', "a leaf was expected", "None")
    assert ParamSpec.from_params({0: BIAS}) != ParamSpec.from_params({"0": BIAS})


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": 1.0, "a.b": 2.0}, ['"a" and "a.b"']),
        ({"a.b": 1.0, "a": 2.0}, ['"a.b" and "a"']),
        ({"a.b": 1.0, "a": {"c": 2.0}}, ['"a.b" and "a"']),
        ({"a": [1.0], "a.1": 2.0}, ['"a" and "a.1"']),
        ({"a": None, "a.b": 2.0}, ['"a" and "a.b"']),
        ({"x": {"a.b.c": 1.0, "a.b": 2.0}}, ['"x.a.b.c" and "x.a.b"']),
        ({0: 1.0, "0": 2.0}, ['"0" (an int) and "0"']),
        ({"a": {"0.w": 1.0, 0: 2.0}}, ['"a.0.w" and "a.0" (an int)']),
        ({"a.b": 1.0, "a..b": 2.0}, ['"a"', "the key ''"]),
        ({"a.": 1.0}, ['"a"', "the key ''"]),
        ({".a": 1.0}, ["the key ''"]),
    ],
)
def test_clashes_are_refused_with_both_names(tree, words, tmp_path):
    for call in (ParamSpec.from_params, lambda tree: save_params(tmp_path / "tree", tree)):
        refusal(lambda call=call: call(tree), *words)
    assert not list(tmp_path.iterdir())


def test_a_container_in_itself_is_refused():
    tree = {"a": {}}
    tree["a"]["b"] = [tree]
    refusal(lambda: ParamSpec.from_params(tree), f"{MOST_LEVELS} levels", '"a.b.0.a', "itself")
    deep = {"x" + ".x" * (MOST_LEVELS - 1): 1.0}
    assert ParamSpec.from_params(deep).size == 1
    refusal(lambda: ParamSpec.from_params({"x": deep}), f"{MOST_LEVELS} levels")


@pytest.mark.parametrize(
    "tree",
    [
        '{"": 3}',
        '{"": [], "a": null}',
        '{"": {"x": null}}',
        '{"": {"": null}}',
        '{"a": 1, "a": 1}',
        '{"": {"+1": null}}',
    ],
)
def test_from_json_refuses_what_to_json_does_not_write(tree):
    refusal(lambda: ParamSpec.from_json(f'{{"tree": {tree}, "leaves": []}}'), "JSON", "to_json")


# --- the way back to flat names


def test_flat_gives_views_by_name():
    state = {"10.weight": KERNEL, "2.weight": BIAS, "2.running_mean": BIAS}
    spec = ParamSpec.from_params(state)
    assert spec.frozen.keys() == {"2.running_mean"}
    vector = spec.ravel(state)
    flat = spec.flat(spec.unravel(vector))
    assert {name: leaf.tolist() for name, leaf in flat.items()} == {n: a.tolist() for n, a in state.items()}
    assert all(np.shares_memory(flat[name], vector) for name in spec.names)
    population = np.stack([vector, 2 * vector, 3 * vector])
    stacked = spec.flat(spec.unravel(population))
    assert stacked.keys() == state.keys()
    for name in spec.names:
        assert np.shares_memory(stacked[name], population)
        np.testing.assert_array_equal(stacked[name][2], 3 * state[name])
    assert spec.flat(state) == state  # flat trees stay unchanged, in the order of the vector
    assert list(spec.flat(state)) == ["10.weight", "2.running_mean", "2.weight"]


def test_flat_refuses_another_tree():
    spec = ParamSpec.from_params({"0.weight": BIAS})
    refusal(lambda: spec.flat({"0.bias": BIAS}), '"0"', "0.bias", "0.weight")
    refusal(lambda: spec.flat(BIAS), "mapping", "ndarray")


# --- leaves that are frozen by default

NORMALIZED = {
    "bn": {
        "weight": np.ones(2, np.float32),
        "running_mean": BIAS,
        "running_var": BIAS,
        "num_batches_tracked": np.array(7),
    },
    "keras/moving_mean": BIAS,
    "keras": {"moving_variance": BIAS, "my_moving_mean": BIAS},
}
STATISTICS = ["bn.num_batches_tracked", "bn.running_mean", "bn.running_var", "keras.moving_variance"]
STATISTICS.append("keras/moving_mean")


def test_statistics_are_frozen_by_default_and_the_repr_says_so():
    spec = ParamSpec.from_params(NORMALIZED)
    assert spec.names == ("bn.weight", "keras.my_moving_mean")
    assert list(spec.frozen) == STATISTICS
    trainable, frozen = repr(spec).split("frozen: ")
    assert "bn.weight (2,)" in trainable
    assert [name for name in STATISTICS if name in trainable or name not in frozen] == []
    assert spec.unravel(np.zeros(4))["bn"]["num_batches_tracked"] == 7
    assert "frozen" not in repr(ParamSpec.from_params(PLAIN))


def test_mean_and_var_are_statistics_only_beside_gamma_and_beta():
    """So Axon names the parameters and statistics of batch normalization."""
    tree = {
        "batch_norm_0": dict.fromkeys(["gamma", "beta", "mean", "var"], BIAS),
        "batch_norm_10": dict.fromkeys(["gamma", "mean", "var"], BIAS),
        "policy": {"mean": BIAS, "var": BIAS},
        **dict.fromkeys(["beta", "gamma", "mean"], BIAS),
    }
    assert list(ParamSpec.from_params(tree).frozen) == ["batch_norm_0.mean", "batch_norm_0.var", "mean"]


def test_a_collection_of_statistics_is_frozen():
    """So Flax keeps the statistics of batch normalization."""
    norm = {"BatchNorm_0": {"mean": BIAS, "var": BIAS}}
    tree = {"params": norm, "batch_stats": norm, "head": {"batch_stats": BIAS}}
    found = ParamSpec.from_params(tree)
    assert list(found.frozen) == ["batch_stats.BatchNorm_0.mean", "batch_stats.BatchNorm_0.var"]
    assert len(found.names) == 3


def test_an_explicit_choice_decides_about_statistics():
    spec = ParamSpec.from_params(NORMALIZED, trainable=["bn.running_mean", "keras/*"])
    assert spec.names == ("bn.running_mean", "keras/moving_mean")
    everything = ParamSpec.from_params(NORMALIZED, lambda name: name != "bn.num_batches_tracked")
    assert len(everything.names) == 6


def test_many_frozen_leaves_do_not_hide_that_they_are():
    tree = {f"layer_{i}": {"weight": BIAS, "running_var": BIAS} for i in range(100)}
    text = repr(ParamSpec.from_params(tree))
    assert "; frozen: layer_0.running_var (2,)" in text
    assert len(text) < 800


# --- integers, all at once


def test_all_integer_leaves_are_named_with_the_remedy():
    tree = {**NORMALIZED, "step": 3, "mask": np.array([True]), "w": BIAS, "u": np.uint8([1])}
    with pytest.raises(ValueError, match=r"\.$") as caught:
        ParamSpec.from_params(tree)
    text = str(caught.value)
    assert '"mask" (bool), "step" (int64), "u" (uint8)' in text
    advice = text[text.index("from_params(") : -1].removeprefix("from_params(")
    spec = eval(f"ParamSpec.from_params({advice}", {"ParamSpec": ParamSpec, "tree": tree})
    assert spec.names == (*ParamSpec.from_params(NORMALIZED).names, "w")


# --- patterns


def test_a_name_is_taken_before_a_pattern():
    spec = ParamSpec.from_params({"w[0]": BIAS, "w0": BIAS}, trainable="w[0]")
    assert spec.names == ("w[0]",)
    assert ParamSpec.from_params({"w0": BIAS, "w1": BIAS}, trainable="w[0]").names == ("w0",)


@pytest.mark.parametrize("trainable", [3, [3], [None], 1.5, [], np.array(1.0)])
def test_other_choices_are_refused_in_a_sentence(trainable):
    refusal(lambda: ParamSpec.from_params(PLAIN, trainable=trainable), "trainable must be", repr(trainable))


# --- the libraries themselves


@pytest.mark.parametrize(
    "name", ["a\0b", "a\0", "\ud800", "é" * 32766], ids=["NUL", "NUL at the end", "half a pair", "long"]
)
@pytest.mark.parametrize("tree", [lambda key: {key: KERNEL}, lambda key: {"dense": [{key: KERNEL}]}])
def test_names_that_no_file_can_hold_are_refused(tmp_path, name, tree):
    path = tmp_path / "net.npz"
    save_params(path, {"dense": BIAS})
    with pytest.raises(
        ValueError, match=r"^The name of a leaf in a file must be Unicode .* rename its keys\.$"
    ):
        save_params(path, tree(name))
    assert equal(load_params(path), {"dense": BIAS})


def test_names_of_a_file_that_clash_are_told_in_one_sentence(tmp_path):
    np.savez(tmp_path / "net.npz", **{"a.b": KERNEL, "a": KERNEL})
    text = r'damaged: At "a" one leaf or container was expected, got .*; take another copy\.$'
    with pytest.raises(ValueError, match=text) as error:
        load_params(tmp_path / "net.npz")
    assert ".;" not in str(error.value)


def test_the_longest_name_is_saved(tmp_path):
    tree = {"é" * 32765 + "e": KERNEL}
    save_params(tmp_path / "net.npz", tree)
    assert equal(load_params(tmp_path / "net.npz"), tree)


def test_tensors_that_cannot_come_to_the_host_are_refused():
    class Meta(Tensor):
        def detach(self):
            return self

        def cpu(self):
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")

    with pytest.raises(ValueError, match=r'^The leaf "a" must be a tensor .*: Cannot copy .*no data!'):
        ParamSpec.from_params({"a": Meta(KERNEL)})


@pytest.mark.frameworks
def test_modules_of_torch(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    for tree in (module.state_dict(), dict(module.named_parameters())):
        spec = ParamSpec.from_params(tree)
        assert spec.names == ("0.bias", "0.weight", "1.bias", "1.weight", "2.bias", "2.weight")
        vector = spec.ravel(tree)
        flat = {
            name: torch.as_tensor(np.array(leaf))
            for name, leaf in spec.flat(spec.unravel(2 * vector)).items()
        }
        assert flat.keys() == tree.keys()
        assert all(torch.equal(flat[name], 2 * tree[name].detach()) for name in spec.names)
    module.load_state_dict(flat, strict=False)
    np.testing.assert_array_equal(spec.ravel(dict(module.named_parameters())), 2 * vector)
    half = module.to(torch.bfloat16).state_dict()
    assert ParamSpec.from_params(half).dtypes == (np.float32,) * 6
    loaded = saved(half, tmp_path)
    np.testing.assert_array_equal(loaded["2"]["weight"], half["2.weight"].float())


@pytest.mark.frameworks
def test_bfloat16_is_read_as_float32(tmp_path):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    tree = {"dense": {"kernel": KERNEL.astype(bfloat16), "bias": BIAS.astype(bfloat16)}}
    spec = ParamSpec.from_params(tree)
    assert spec == ParamSpec.from_params(PLAIN)
    assert equal(spec.unravel(spec.ravel(tree), cast=True), in_order(PLAIN))
    assert ParamSpec.from_params(tree, "dense.bias").frozen["dense.kernel"].dtype == np.float32
    assert equal(saved(tree, tmp_path), in_order(PLAIN))


@pytest.mark.frameworks
def test_a_frozen_dict_of_flax(tmp_path):
    freeze, jnp = pytest.importorskip("flax.core").freeze, pytest.importorskip("jax.numpy")
    tree = freeze({"dense": {"kernel": jnp.asarray(KERNEL), "bias": jnp.asarray(BIAS)}})
    assert ParamSpec.from_params(tree) == ParamSpec.from_params(PLAIN)
    assert equal(saved(tree, tmp_path), in_order(PLAIN))
    half = freeze({"dense": {"kernel": jnp.asarray(KERNEL, "bfloat16"), "bias": jnp.asarray(BIAS)}})
    assert ParamSpec.from_params(half) == ParamSpec.from_params(PLAIN)


@pytest.mark.frameworks
def test_a_state_of_nnx(tmp_path):
    nnx, flatten_util = pytest.importorskip("flax.nnx"), pytest.importorskip("jax.flatten_util")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs) for _ in range(11)])
            self.norm = nnx.BatchNorm(2, rngs=rngs)

    model = Model(nnx.Rngs(0))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    spec = ParamSpec.from_params(params)
    assert spec.names[2:4] == ("layers.1.bias", "layers.1.kernel")  # layers.1 and not layers.10
    vector = spec.ravel(params)
    np.testing.assert_array_equal(vector, flatten_util.ravel_pytree(params)[0])
    assert list(saved(params, tmp_path)["layers"]) == list(range(11))
    nnx.replace_by_pure_dict(params, spec.unravel(2 * vector))
    changed = nnx.merge(graph, params, rest)
    np.testing.assert_array_equal(changed.layers[3].kernel[...], 2 * model.layers[3].kernel[...])
    half = nnx.map_state(lambda path, leaf: leaf.astype("bfloat16"), params)
    assert set(ParamSpec.from_params(half).dtypes) == {np.dtype(np.float32)}


@pytest.mark.frameworks
def test_a_mapping_of_haiku(tmp_path):
    structures = pytest.importorskip("haiku.data_structures")
    tree = structures.to_immutable_dict({"dense": {"kernel": KERNEL, "bias": BIAS}})
    assert ParamSpec.from_params(tree) == ParamSpec.from_params(PLAIN)
    assert equal(saved(tree, tmp_path), in_order(PLAIN))
