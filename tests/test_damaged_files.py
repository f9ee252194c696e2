"""Damaged files, which `load`, `load_params` and `ParamSpec.from_json` refuse."""

import functools
import io
import json
import re
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers import ROOT, needs_jit
from helpers.functions import sphere
from helpers.spaces import make_in
from helpers.strategies import OURS, RESTARTED, each_and_its_restarts, each_strategy, make, run
from numpy.testing import assert_array_equal

import evoopt
from evoopt.files import load_params, save_params, write_npz
from evoopt.npz import read_npz
from evoopt.params import ParamSpec
from evoopt.strategies import REGISTRY
from evoopt.strategies.contract.checkpoint import DAMAGE, decode, read
from evoopt.strategies.contract.fields import fields_of
from evoopt.strategies.contract.registry import PLAIN_DATA
from evoopt.strategies.contract.saving import FORMAT

DAMAGED = r'^[A-Z].* was expected, but ".*" is damaged: .*[^.]; take another copy\.$'
ARRAYS = {"a": np.arange(3.0), "b.c": np.array([[True, False]])}


def same(found, arrays):
    return found.keys() == arrays.keys() and all(
        (found[name].dtype, found[name].shape, found[name].tobytes())
        == (array.dtype, array.shape, array.tobytes())
        for name, array in arrays.items()
    )


def refuses(path, load=load_params):
    """Whether a file is refused as damaged, in a sentence that names it, with little memory."""
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=DAMAGED) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return str(path) in str(caught.value) and peak < 10 * size + 4_000_000


def npy(array=None, **header):
    """Return the header of an array's file, followed by the numbers."""
    array = np.zeros(2) if array is None else array
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    return raw_npy(repr(header), array.tobytes())


def raw_npy(header, numbers=bytes(16)):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + f"{header}\n".encode() + numbers


def archive(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries:
            file.writestr(name, content)


def change_skeleton(path, change):
    """Write a changed checkpoint; `change` gets the skeleton, and returns a text or changes it."""
    arrays = read_npz(path)
    content = json.loads(arrays.pop("strategy.json").tobytes())
    text = change(content)
    text = text if isinstance(text, str) else json.dumps(content)
    write_npz(path, arrays | {"strategy.json": np.frombuffer(text.encode(), np.uint8)})


def attributes(content):
    """Return the strategy's attributes in a skeleton, as pairs of a name and a value's code."""
    return content["strategy"]["state"]["dict"]


def set_attribute(name, *value):
    """Return a change that sets an attribute, or removes it if no value is passed."""

    def change(content):
        pairs = [pair for pair in attributes(content) if pair[0] != name]
        content["strategy"]["state"]["dict"] = [*pairs, *([name, each] for each in value)]

    return change


# ---------------------------------------------------------------- archives


def test_flipped_bits_are_found_or_change_nothing(tmp_path):
    path = tmp_path / "file.npz"
    write_npz(path, ARRAYS)
    whole = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(whole), 11):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            fits = same(read_npz(path), ARRAYS)
        except ValueError as error:
            fits = re.match(DAMAGED, str(error))
            refused += 1
        assert fits, bit
    assert refused > len(whole) / 2


def test_pieces_of_a_file_are_refused(tmp_path):
    path = tmp_path / "file.npz"
    write_npz(path, ARRAYS)
    whole = path.read_bytes()
    directory = whole.index(b"PK\1\2")
    pieces = [whole[:n] for n in range(0, len(whole), 9)]
    added = [b"x" + whole, whole + b"x", whole[:directory] + b"x" + whole[directory:], whole + whole]
    for data in (*pieces, *added, whole[directory:], whole[-22:], bytes(5000)):
        path.write_bytes(data)
        assert refuses(path)


def test_every_leaf_that_the_end_counts_must_be_there(tmp_path):
    """A flipped bit in the directory must not hide leaves."""
    path = tmp_path / "file.npz"
    save_params(path, {"a": 1.0, "b": 2.0, "c": 3.0})
    whole = path.read_bytes()
    second = whole.index(b"PK\1\2", whole.index(b"PK\1\2") + 1)
    end = whole.index(b"PK\5\6")
    for places in ((second, second + 1), (end + 8,), (end + 10,), (end + 8, end + 10), (end + 12,)):
        data = bytearray(whole)
        for place in places:
            data[place] ^= 1
        path.write_bytes(data)
        assert refuses(path)


HEADERS = {
    "more than there is": npy(shape=(10**12,)),
    "more than a machine has": npy(shape=(2**70,)),
    "less than there is": npy(shape=(1,)),
    "sizes below 0": npy(shape=(-1, -2)),
    "a flag for a size": npy(shape=(True, 2)),
    "too many axes": npy(shape=(1,) * 99 + (2,)),
    "nothing in endless rows": npy(np.zeros(0), shape=(0, 2**70)),
    "numbers without bytes": npy(np.zeros(0), descr="|V0", shape=(10**12,)),
    "objects": npy(descr="|O"),
    "objects in a field": npy(descr=[("x", "|O")]),
    "another dtype": npy(descr="<f4"),
    "no dtype": npy(descr="nonsense"),
    "a dtype of numbers": npy(descr=[1, 2]),
    "a dtype beyond all measure": npy(descr=[("x", "<f8", (10**9, 10**9))]),
    "flags that are none": npy(np.array([2, 3], np.uint8), descr="|b1"),
    "no header": b"text",
    "an empty entry": b"",
    "a header that is no literal": raw_npy("print(1)"),
    "a header that nests": raw_npy("(" * 3000),
    "a header of signs": raw_npy("-" * 3000 + "1"),
    "a header of keys": raw_npy("{'shape': (2,)}"),
    "another version": npy().replace(b"\x01\x00", b"\x09\x00", 1),
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_arrays_that_are_not_what_they_claim(content, tmp_path):
    archive(tmp_path / "file.npz", [("x.npy", npy()), ("a.npy", content)])
    assert refuses(tmp_path / "file.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_have_no_place(tmp_path):
    path = tmp_path / "file.npz"
    for entries in ([("a.npy", npy()), ("a.npy", npy())], [("a.npy", npy()), ("a.txt", b"text")]):
        archive(path, entries)
        assert refuses(path)
    archive(path, [("a.npy", npy()), ("b.npy", npy())])
    path.write_bytes(path.read_bytes().replace(b"a.npy", b"c.npy", 1))  # a change in the entry's header alone
    assert refuses(path)


def test_what_other_programs_write_is_read(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    arrays = ARRAYS | {"d": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "e": np.array("text")}
    np.savez(path, **arrays)
    assert same(read_npz(path), arrays)
    assert read_npz(path)["d"].flags.f_contiguous
    np.savez_compressed(path, **arrays)
    assert same(read_npz(path, compressed=True), arrays)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        stream.seekable = lambda: False  # so that sizes stand behind the arrays
        archive(stream, [(f"{name}.npy", npy(array)) for name, array in ARRAYS.items()], method)
        path.write_bytes(stream.getvalue())
        assert same(read_npz(path, compressed=True), ARRAYS)
    monkeypatch.setattr("zipfile.ZIP_FILECOUNT_LIMIT", 1)  # numbers of 64 bits, as for 65,536 entries
    np.savez(path, **arrays)
    assert b"PK\6\6" in path.read_bytes()
    assert same(read_npz(path), arrays)
    np.savez(path)
    assert load_params(path) == {}


def test_compressed_parameters_are_read_within_limits(tmp_path):
    path = tmp_path / "file.npz"
    np.savez_compressed(path, **{"a.b": np.zeros(100_000)})
    assert_array_equal(load_params(path)["a"]["b"], np.zeros(100_000))
    np.savez_compressed(path, **{"a.b": np.zeros(10_000_000)})
    assert refuses(path)
    archive(path, [("a.npy", npy(np.zeros(1000)))], zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    for size in (8000 + len(npy(np.zeros(0))), 10**9):  # false sizes in the directory, or in both places
        path.write_bytes(data.replace(struct.pack("<L", len(npy(np.zeros(1000)))), struct.pack("<L", size)))
        assert refuses(path)


# ---------------------------------------------------------------- JSON

DEEP = {"lists": "[" * 100_000, "objects": '{"a":' * 100_000, "lists that end": "[" * 3000 + "]" * 3000}
NO_TREES = DEEP | {
    "an endless number": "9" * 5000,
    "a key twice": '{"a": null, "a": null}',
    "a tuple of a number": '{"": 3}',
    "a tuple and more": '{"": [], "a": null}',
    "another leaf": '{"b": null}',
    "no leaf": "[]",
    "a leaf": "null",
    "NaN": "NaN",
    "no JSON": "{",
    "a key with a dot": '{"a.b": null}',
}


@pytest.mark.parametrize("text", NO_TREES.values(), ids=NO_TREES)
def test_trees_that_are_none(text, tmp_path):
    path = tmp_path / "file.npz"
    write_npz(path, {"a": 1.0, ".tree": np.frombuffer(text.encode(), np.uint8)})
    assert refuses(path)
    spec = json.loads(ParamSpec.from_shapes({"a": 2}).to_json())
    with pytest.raises(ValueError, match="as to_json returns it, but it is damaged"):
        ParamSpec.from_json(json.dumps(spec | {"tree": 0}).replace('"tree": 0', f'"tree": {text}'))


def test_names_that_nest_deep(tmp_path):
    write_npz(tmp_path / "file.npz", {".".join("a" * 30_000): 1.0})
    assert refuses(tmp_path / "file.npz")


ODD = [None, True, -1, 0.5, np.nan, 10**30, "text", [-1], ["a"], {}, {"": [2]}, [[2]]]


@pytest.mark.parametrize("field", ["name", "shape", "dtype", "dimension_names", "trainable"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_leaves_that_are_not_described_so(field, value):
    spec = json.loads(ParamSpec.from_shapes({"a": ((2,), "float32", ("in",))}).to_json())
    changes = [lambda leaf: leaf.pop(field)]
    if [field, value] not in (["trainable", True], ["dimension_names", None], ["dimension_names", ["a"]]):
        changes.append(lambda leaf: leaf.update({field: value}))
    for change in changes:
        changed = json.loads(json.dumps(spec))
        change(changed["leaves"][0])
        with pytest.raises(ValueError, match=r"damaged|frozen was expected"):
            ParamSpec.from_json(json.dumps(changed))


@pytest.mark.parametrize("dtype", ["O", "a", "V8", "f8,f8", "(2,)f8", "float32x", "<f4", "object", "U3"])
def test_dtypes_that_leaves_do_not_have(dtype):
    spec = json.loads(ParamSpec.from_shapes({"a": 2}).to_json())
    spec["leaves"][0]["dtype"] = dtype
    with pytest.raises(ValueError, match="damaged"):
        ParamSpec.from_json(json.dumps(spec))


# ---------------------------------------------------------------- checkpoints


def saved(cls, path, **options):
    """Return a strategy with rows that wait, and save it."""
    return with_waiting_rows(run(make(cls, **({"n": 3, "popsize": 6} | options)), 3), path)


def with_waiting_rows(es, path):
    ids = es.ask_ids(4)
    es.tell(ids[:2], sphere(es.rows(ids[:2])))
    es.ask()
    es.save(path)
    return es


def run_file(path):
    """Return the file of a run of `evolve` with a validation."""
    evoopt.evolve(make(evoopt.SNES), sphere, validation=sphere, checkpoint=path, max_generations=2)
    return path


def other_arrays(array):
    """Yield arrays of other shapes and dtypes."""
    yield array[None]
    yield array.reshape(*array.shape, 1)
    if array.dtype.names is None:
        yield array.astype(np.float32 if array.dtype != np.float32 else np.float64)
        yield array.astype(array.dtype.newbyteorder(">")) if array.dtype.itemsize > 1 else array.astype("<U1")
    if array.ndim > 1 and min(array.shape) > 1:
        yield np.asfortranarray(array)


def decoder(es, path):
    """Return a function that loads a checkpoint with changes, and the skeleton and arrays."""
    es.save(path)
    arrays = read_npz(path)
    text = arrays.pop("strategy.json").tobytes()

    def load(changed_arrays=None, change=lambda content: None):
        content = json.loads(text)
        change(content)
        return decode(content, arrays | (changed_arrays or {}))[0]

    return load, json.loads(text), arrays


@each_and_its_restarts
def test_every_array_must_fit(cls, tmp_path, request):
    """A strategy alone has each kind of array, its restarts only more of them."""
    noisy = "CMAES" in request.node.name or "DeepGA" in request.node.name
    es = saved(cls, tmp_path / "run.npz", noisy=noisy)
    require_arrays(es, tmp_path, 1 if cls in OURS.values() else 9)


def require_arrays(es, tmp_path, every=1):
    """Require that one of so many arrays is refused in other shapes and dtypes."""
    load, _, arrays = decoder(es, tmp_path / "run.npz")
    for name in [*arrays][::every]:
        for other in other_arrays(arrays[name]):
            with pytest.raises(DAMAGE):
                load({name: other})
    load()


@each_strategy
def test_lengths_must_fit(cls, tmp_path):
    """Wrong lengths would make kernels read beyond ends, or leave parts of the population unset."""
    load, _, arrays = decoder(saved(cls, tmp_path / "run.npz", n=13), tmp_path / "run.npz")
    for name, array in arrays.items():
        for n in {13, 11} & set(array.shape):  # 13 parameters, 11 directions of LMMAES
            for size in (0, 1, n - 1, n + 1):
                other = np.resize(array, [size if each == n else each for each in array.shape])
                with pytest.raises(ValueError, match="must be"):
                    load({name: other})
    load()


NO_COUNTS = [-1, 2.5, np.nan, True, None, "4", [], 10**12, 10**30]
NUMBERS = {
    "n_params": [0, 2, 4, *NO_COUNTS],
    "popsize": [0, 1, *NO_COUNTS],
    "generation": [0, 2, 5, *NO_COUNTS],
    "evaluations": [0, 2, *NO_COUNTS],
    "seed": [8, -1, 2.5, None, "7"],
    "_barren": [-1, 0.5, None, 10**30],
    "maximize": [2, None, "yes", 0.5],
    "dtype": [None, "float64", {"dtype": "<f2"}, {"dtype": "|O"}, {"dtype": "<f8,<f8"}, {"dtype": "a"}],
    "device": ["gpu", None, 0],
    "target": ["1", np.nan, []],
    "max_generations": [0, -1, 0.5, "9"],
    "history": [None, [], {"dict": []}, {"dict": [["best", []]]}],
    "best": [None, 1, {"again": 0}, {"tuple": []}],
    "_ledger": [None, {"dict": []}, {"again": 0}],
    "_mean": [None, 0.0, [0.0, 0.0, 0.0], {"dtype": "<f8"}],
    "ask": [None, 1],
    "mean": [0.0],
    "_engine": [None],
}


@pytest.mark.parametrize("cls", [evoopt.SNES, evoopt.DeepGA])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_must_be_of_their_kind(name, cls, tmp_path):
    path = tmp_path / "run.npz"
    load, _, _ = decoder(saved(cls, path), path)
    for value in NUMBERS[name]:
        with pytest.raises(DAMAGE):
            load(change=set_attribute(name, value))
    change_skeleton(path, set_attribute(name, NUMBERS[name][-1]))
    assert refuses(path, evoopt.load)


@each_and_its_restarts
def test_attributes_must_be_there_and_be_of_their_kind(cls, tmp_path):
    es = saved(cls, tmp_path / "run.npz")
    load, content, _ = decoder(es, tmp_path / "run.npz")
    for name, _ in attributes(content):
        with pytest.raises(DAMAGE):
            load(change=set_attribute(name, {"tuple": ["?"]}))
        if not hasattr(type(es), name):  # class attributes are defaults
            with pytest.raises(DAMAGE):
                load(change=set_attribute(name))
    load()


def quiet_sphere(population):
    with np.errstate(over="ignore"):
        return sphere(population)


@needs_jit
@each_and_its_restarts
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e300, 1e-320, -1.0])
def test_a_state_that_no_search_can_have_is_refused(cls, dtype, value, tmp_path):
    require_a_search(saved(cls, tmp_path / "run.npz", dtype=dtype), value, tmp_path)


def require_a_search(es, value, tmp_path):
    """Require that states with another number are refused, or go on and can be saved again."""
    load, content, arrays = decoder(es, tmp_path / "run.npz")
    numbers = [name for name, value in attributes(content) if type(value) is float and name[0] == "_"]
    changes = [{"change": set_attribute(name, value)} for name in numbers]
    with np.errstate(over="ignore", under="ignore"):
        for name, array in arrays.items():
            if array.dtype.kind == "f" and array.size:
                changed = array.copy()
                changed.flat[0] = value
                changes += [{"changed_arrays": {name: changed}}]
    refused = 0
    for change in changes:
        try:
            again = load(**change)
        except DAMAGE:
            refused += 1
            continue
        assert run(again, 2, quiet_sphere).stop() is not None
        again.save(tmp_path / "again.npz")
        evoopt.load(tmp_path / "again.npz")
    assert refused


MIXED = (evoopt.CMAES, evoopt.SepCMAES, evoopt.GA)  # which search integers
SPACE = evoopt.Space(
    x=evoopt.Real(1e-3, 1, log=True),
    n=evoopt.Integer(-9, 9),
    units=evoopt.Integer(1, 64, log=True),
    flag=evoopt.Integer(0, 1),
    act=evoopt.Choice("relu", "tanh", None),
    angle=evoopt.Real(0, 6, periodic=True),
)
IN_SPACE = {cls.__name__: functools.partial(make_in, cls) for cls in MIXED}
IN_SPACE["IPOP of CMAES"] = functools.partial(make_in, RESTARTED["IPOP of CMAES"])
each_in_space = pytest.mark.parametrize("make_it", IN_SPACE.values(), ids=IN_SPACE)


@each_in_space
def test_every_array_of_a_search_in_a_space_must_fit(make_it, tmp_path):
    require_arrays(with_waiting_rows(run(make_it(SPACE), 3), tmp_path / "run.npz"), tmp_path, 2)


@needs_jit
@each_in_space
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e300, 1e-320, -1.0])
def test_a_state_that_no_search_in_a_space_can_have_is_refused(make_it, value, tmp_path):
    require_a_search(with_waiting_rows(run(make_it(SPACE), 3), tmp_path / "run.npz"), value, tmp_path)


@pytest.mark.parametrize("value", [1, 0, 1.5, -0.1, None, {"tuple": []}])
def test_schedules_are_shares_or_schedules(value, tmp_path):
    """A whole number must not be taken for a schedule."""
    load, _, _ = decoder(saved(evoopt.OpenAIES, tmp_path / "run.npz"), tmp_path / "run.npz")
    with pytest.raises(DAMAGE):
        load(change=set_attribute("sigma_decay", value))


def test_all_attributes_are_declared(tmp_path):
    """All attributes of strategies, new and used, and of the small classes in them are declared."""
    spec = ParamSpec.from_shapes({"a": 2, "b": 1})
    decay = evoopt.LinearDecay(9)
    strategies = [
        *(saved(cls, tmp_path / "run.npz", bounds=(-9, 9)) for cls in OURS.values()),
        *(saved(cls, tmp_path / "run.npz", noisy=True) for cls in OURS.values()),
        saved(evoopt.GA, tmp_path / "run.npz", crossover="tensor", spec=spec),
        saved(evoopt.OpenAIES, tmp_path / "run.npz", optimizer="sgd", sigma_decay=decay),
        saved(evoopt.OpenAIES, tmp_path / "run.npz", sigma_decay=evoopt.CosineDecay(9)),
        *(cls(SPACE, seed=1) for cls in MIXED),
        *(kind(evoopt.CMAES([1.0, 2.0], 1.0, tolfun=1e9, seed=1)) for kind in (evoopt.IPOP, evoopt.BIPOP)),
    ]
    seen = set()

    def visit(value):
        cls = type(value)
        if isinstance(value, list | tuple | dict):
            for item in value.values() if isinstance(value, dict) else value:
                visit(item)
        elif cls in PLAIN_DATA.values() or cls in REGISTRY.values():
            seen.add(cls)
            state = value.__getstate__()
            assert state.keys() <= fields_of(cls).keys(), cls
            visit(state)

    for es in strategies:
        es.tell(population := es.ask(), sphere(population))
        visit(es)
    visit(read(run_file(tmp_path / "evolve.npz")).record)
    ours = {cls for cls in PLAIN_DATA.values() if cls.__module__.startswith("evoopt.")}
    assert ours | set(OURS.values()) | {evoopt.IPOP, evoopt.BIPOP} <= seen


def test_arrays_that_nothing_asks_for(tmp_path):
    path = tmp_path / "run.npz"
    saved(evoopt.SNES, path)
    write_npz(path, read_npz(path) | {"other": np.zeros(3)})
    assert refuses(path, evoopt.load)


def test_a_compressed_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    saved(evoopt.SNES, path)
    np.savez_compressed(path, **read_npz(path))
    assert refuses(path, evoopt.load)


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_skeletons_that_nest_deep(text, tmp_path):
    path = tmp_path / "run.npz"
    saved(evoopt.SNES, path)
    whole = path.read_bytes()
    for change in (lambda _: text, lambda content: json.dumps(content)[:-1] + f', "more": {text}}}'):
        path.write_bytes(whole)
        change_skeleton(path, change)
        if text.startswith("[") and text.endswith("]") and sys.version_info >= (3, 13):
            continue  # the text may end before the stack does
        assert refuses(path, evoopt.load)


@evoopt.register
class Sloppy(evoopt.Strategy):
    """A user's strategy with a float32 state and further attributes."""

    def _update(self, told):
        self._mean = told.population[told.order[0]]
        self._sigma = np.float32(0.9) * self._sigma.astype(np.float32)
        self.notes = [*getattr(self, "notes", []), {"shape": (3, None)}]


def test_strategies_of_ones_own_keep_what_they_like(tmp_path):
    es = run(Sloppy(np.ones(3, np.float32), 1.0, seed=1), 2)
    es.colour = "red"
    es.save(tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    assert (again.colour, again.notes) == ("red", [{"shape": (3, None)}] * 2)
    assert_array_equal(again.ask(), es.ask())
    change_skeleton(tmp_path / "run.npz", set_attribute("popsize", 10**12))
    assert refuses(tmp_path / "run.npz", evoopt.load)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("settings", value) for value in (None, [], {"dict": [["a", 1]]})),
        *(("kinds", value) for value in (None, {"dict": [[1, "a"]]})),
        *(("judged", value) for value in (None, 1, {"again": 0})),
        *(("validation", value) for value in ([], "x")),
        *(
            (f"judged.{name}", value)
            for name in ("best", "waited", "generation")
            for value in (None, "1", [])
        ),
        *(("judged.values", value) for value in (None, [1.0], {"tuple": [1.0, 2.0, 3.0]}, {"tuple": ["a"]})),
        *(("judged.x", value) for value in (1.0, [1.0], "x")),
    ],
)
def test_the_record_of_a_run_must_fit(name, value, tmp_path):
    def change(content):
        state = content["run"]["state"]
        *outer, last = name.split(".")
        for each in outer:
            state = dict(state["dict"])[each]["state"]
        state["dict"] = [[key, value if key == last else item] for key, item in state["dict"]]

    path = run_file(tmp_path / "run.npz")
    assert evoopt.load(path).generation == 2
    change_skeleton(path, change)
    assert refuses(path, evoopt.load)
    with pytest.raises(ValueError, match="damaged"):
        run_file(path)


@pytest.mark.parametrize("record", [3, "run", [], {"again": 0}])
def test_the_record_of_a_run_is_one(record, tmp_path):
    path = run_file(tmp_path / "run.npz")
    change_skeleton(path, lambda content: content.update(run=record))
    assert refuses(path, evoopt.load)


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_all_formats_load_or_say_so(number, tmp_path):
    path = ROOT / "tests" / "data" / f"format_{number}.npz"
    if number < 4:
        with pytest.raises(ValueError, match=f"has format {number}; load it with the version .* that wrote"):
            evoopt.load(path)
        return
    es = evoopt.load(path)
    assert (es.generation, es.evaluations, es.popsize, es.restarts) == (4, 14, 4, 0)
    assert es.best.fitness == 0.14820431034111103
    assert es.mean.tolist() == [-0.0884215810115746, -0.44373992152678166]
    assert es.history["evaluations"] == [4, 8, 12, 14]
    es.save(tmp_path / "again.npz")
    before, after = read_npz(path), [array.tobytes() for array in read_npz(tmp_path / "again.npz").values()]
    assert all(array.tobytes() in after for name, array in before.items() if name != "strategy.json")


def test_the_next_format_asks_for_a_newer_version(tmp_path):
    make(evoopt.SNES).save(tmp_path / "run.npz")
    change_skeleton(tmp_path / "run.npz", lambda content: content.update(format=FORMAT + 1))
    with pytest.raises(ValueError, match="with a newer version of evoopt"):
        evoopt.load(tmp_path / "run.npz")
    for value in ("4", 0, -1, 4.0, True, None, [4]):
        change_skeleton(tmp_path / "run.npz", lambda content, value=value: content.update(format=value))
        assert refuses(tmp_path / "run.npz", evoopt.load)


# ---------------------------------------------------------------- tasks


def test_the_state_of_a_task_must_fit(tmp_path):
    net = evoopt.Network([evoopt.Dense(1)], input_shape=(5,))
    task = evoopt.Rollout(net, evoopt.envs.cartpole_swingup, normalize=True)
    state = task.state()
    vectors = [np.ones(4), np.ones((5, 1)), np.full(5, np.nan), None, "x", 1.0, ["a"] * 5]
    changes = {"count": [-1, 0.5, None, "x", 2**80, np.ones(2)], "mean": vectors, "squares": vectors}
    for name, values in changes.items():
        for value in values:
            es = make(evoopt.SNES)
            fake = type("Task", (), {"state": lambda _, s=state | {name: value}: s, "load_state": None})()
            es.save(tmp_path / "run.npz", task=fake)
            with pytest.raises(ValueError, match=r'^The state of a task .*run\.npz" .*[a-z]'):
                evoopt.load(tmp_path / "run.npz", task=task)
            assert task.state()["count"] == state["count"]


@needs_jit
def test_damaged_by_chance():
    """The flips are a small part of ``python -m tests.stress flips``."""
    sys.path.append(str(ROOT / "tests" / "stress"))
    import flips

    outcomes = flips.run(60, seed=0)
    assert outcomes["wrong"] == 0, outcomes
    assert outcomes["refused"] > 30
