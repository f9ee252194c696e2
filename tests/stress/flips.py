"""Files damaged by chance and on purpose: `run` loads them in processes with little memory.

The seed and the number of a file determine it. After `load` a strategy must work for a generation,
or ValueError must describe the fault; all else is a finding, also a crash or a lack of memory.
"""

import functools
import io
import json
import logging
import resource
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

import evoopt
from evoopt.strategies import REGISTRY
from evoopt.strategies.parts.restarts import Restarts

ROOM = 1 << 30  # bytes that a process may take beyond its size after the first files
BATCH = 2000  # files of one process
SLOW = 20.0  # seconds of processor time, far more than any file needs
ODD = [
    *(0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63, 10**12, 10**30, 0.5, -0.5, 1e-320, 1e308, np.nan, np.inf),
    *(True, None, "", "x", "array_0", "array_1", [], {}, [[1]], {"tuple": []}, {"array": "array_1"}),
    *({"scalar": "array_0"}, {"dtype": "<f8"}, {"dtype": "O"}, {"again": 0}, {"list": "array_2"}),
]


def run(count, seed):
    """Load damaged files; return the counts of refused, working and wrong ones, and the faults."""
    outcomes, start = Counter(refused=0, works=0), 0
    while start < count:
        stop = min(start + BATCH, count)
        found = _process(start, stop, seed)
        outcomes.update(found)
        start += len(found)
        if start < stop:
            outcomes[f"file {start} of seed {seed}: the process died"] += 1
            start += 1
    return {"flips": count, **outcomes, "wrong": count - outcomes["refused"] - outcomes["works"]}


def _process(start, stop, seed):
    """Return the outcomes of a process up to its end or death."""
    command = [sys.executable, __file__, str(start), str(stop), str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    ready, *outcomes = done.stdout.splitlines() or [""]
    if ready != "ready":
        raise RuntimeError("The process did not come as far as the damaged files.")
    return outcomes


# ---------------------------------------------------------------- files to damage


def sphere(population):
    return (np.asarray(population, np.float64) ** 2).sum(axis=1)


def victims():
    """Return names, and the bytes of checkpoints or parameters."""
    ours = {name: cls for name, cls in REGISTRY.items() if cls.__module__.startswith("evoopt.")}
    inner = [name for name, cls in ours.items() if not issubclass(cls, Restarts)]
    kinds = [*inner, *(f"{kind} of {name}" for kind in ours.keys() - set(inner) for name in inner)]
    box = {"bounds": [(-9, 9), (None, 5), (-7, None)]}
    found = {}
    for i, kind in enumerate(sorted(kinds)):
        *restarts, name = kind.split(" of ")
        options = [{}, box, {"noisy": True, "dtype": np.float32}][i % 3]
        es = ours[name]([1.0, 2.0, 3.0], 0.5, popsize=8, seed=1, **options)
        es = ours[restarts[0]](es) if restarts else es
        for _ in range(3):
            population = es.ask()
            es.tell(population, sphere(population))
        ids = es.ask_ids(4)
        es.tell(ids[:2], sphere(es.rows(ids[:2])))  # the other rows wait
        if i % 2:
            es.ask()
        found[kind] = _saved(es.save)
    spec = evoopt.ParamSpec.from_shapes({"a": 2, "b": (2, 2)})
    es = evoopt.GA([1.0] * 6, 0.5, popsize=8, seed=1, crossover="tensor", spec=spec)
    es.tell(population := es.ask(), sphere(population))
    found["tensors"] = _saved(es.save)
    task = _task()
    task.load_state({"count": 9, "mean": np.ones(5), "squares": np.ones(5)})
    found["task"] = _saved(lambda path: es.save(path, task=task))
    es = ours["SNES"]([1.0, 2.0, 3.0], 0.5, popsize=8, seed=1)
    options = {"validation": sphere, "max_generations": 3}
    found["run"] = _saved(lambda path: evoopt.evolve(es, sphere, checkpoint=path, **options))
    tree = {"dense_0": {"bias": np.zeros(3, np.float32), "kernel": np.ones((3, 2))}, "list": [1, (2.0, True)]}
    for name, params in {"params": tree["dense_0"], "params of lists": tree}.items():
        found[name] = _saved(functools.partial(evoopt.save_params, tree=params))
    return found


def _task():
    net = evoopt.Network([evoopt.Dense(1)], input_shape=(5,))
    return evoopt.Rollout(net, evoopt.envs.cartpole_swingup, normalize=True)


def _saved(save):
    with tempfile.TemporaryDirectory() as folder:
        save(f"{folder}/file.npz")
        return Path(folder, "file.npz").read_bytes()


# ---------------------------------------------------------------- damage


def flipped(data, rng):
    """Flip one to three bits."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def flipped_in_the_directory(data, rng):
    """Flip one to three bits of the directory, which has the places of the arrays."""
    start = data.index(b"PK\1\2")
    return data[:start] + flipped(data[start:], rng)


def overwritten(data, rng):
    """Overwrite some consecutive bytes."""
    place = rng.integers(len(data))
    junk = rng.bytes(rng.integers(1, 40))
    return data[:place] + junk + data[place + len(junk) :]


def cut(data, rng):
    """Remove the end or another piece, or repeat one."""
    a, b = sorted(rng.integers(len(data) + 1, size=2))
    return [data[:a], data[:a] + data[b:], data[:b] + data[a:]][rng.integers(3)]


def entries(data):
    """Return the arrays of a file, and the text of its skeleton."""
    with np.load(io.BytesIO(data)) as archive:
        return {name: archive[name] for name in archive.files}


def archived(arrays, method=zipfile.ZIP_STORED):
    """Return a file of arrays; bytes are written as the file of an array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", array if isinstance(array, bytes) else _npy(array))
    return file.getvalue()


def _npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array))
    return file.getvalue()


def claims(array, rng):
    """Return the file of an array with a false header."""
    shapes = [(10**12,), (-1, -len(array.tobytes())), (2**63,), (0, 10**18), (True,), (3,) * 70]
    dtypes = ["<f8", "|O", "|V0", "<U99999999", ">f8", "|b1"]
    shape, dtype = shapes[rng.integers(6)], dtypes[rng.integers(6)]
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + array.tobytes()


def rearranged(data, rng):
    """Exchange, remove, add, rename or compress whole arrays."""
    arrays = entries(data)
    one, other = rng.choice(list(arrays), 2)
    match rng.integers(5):
        case 0:
            arrays[one], arrays[other] = arrays[other], arrays[one]
        case 1:
            del arrays[one]
        case 2:
            arrays["array_999"] = np.zeros(3)
        case 3:
            arrays[f"{one}x"] = arrays.pop(one)
        case 4:
            return archived(arrays, zipfile.ZIP_DEFLATED)
    return archived(arrays)


def reshaped(data, rng):
    """Change the shape, dtype or order of an array, or write a false header."""
    arrays = entries(data)
    name = rng.choice(list(arrays))
    array = np.atleast_1d(arrays[name])
    changed = [
        lambda: array.ravel()[: array.size // 2],
        lambda: np.concatenate([array, array]),
        lambda: array.reshape(-1, 1),
        lambda: array[None],
        lambda: array.ravel()[0] if array.size else array,
        lambda: array[:0],
        lambda: np.asfortranarray(array),
        lambda: array.T,
        lambda: array.view(np.uint8).view([np.uint8, np.bool_][rng.integers(2)]),
        lambda: array.astype(["<f4", "<i4", "<U9", ">f8", "<f2", "<u8"][rng.integers(6)]),
        lambda: claims(array, rng),
    ]
    try:
        arrays[name] = changed[rng.integers(len(changed))]()
    except (TypeError, ValueError):  # numpy refuses this change
        arrays[name] = np.zeros(0)
    return archived(arrays)


def reworded(data, rng):
    """Change the text of a skeleton: other values, exchanged or missing ones, deep nesting."""
    arrays = entries(data)
    name = next((name for name in ("strategy.json", ".tree") if name in arrays), None)
    if name is None:
        return flipped(data, rng)
    content = json.loads(arrays[name].tobytes())
    places = [*_places(content)]
    holder, key = places[rng.integers(len(places))]
    match rng.integers(8):
        case 0 | 1 | 2 | 3:
            holder[key] = ODD[rng.integers(len(ODD))]
        case 4:
            other, other_key = places[rng.integers(len(places))]
            holder[key], other[other_key] = json.loads(json.dumps([other[other_key], holder[key]]))
        case 5:
            del holder[key]
        case 6:
            if isinstance(holder[key], float | int):
                holder[key] = holder[key] * [2, 0.5, -1, 10**6, 1e-6][rng.integers(5)]
        case 7:
            holder[key] = "DEEP"
    deep = ["[" * 100_000, "[" * 900 + "]" * 900, '{"tuple": [' * 400 + "]}" * 400, "9" * 5000]
    text = json.dumps(content).replace('"DEEP"', deep[rng.integers(len(deep))])
    return archived(arrays | {name: np.frombuffer(text.encode(), np.uint8)})


def _places(node):
    """Yield the containers in JSON, each with its keys."""
    for key, child in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(child, dict | list):
            yield from _places(child)


DAMAGES = [flipped, flipped_in_the_directory, overwritten, cut, rearranged, reshaped, reworded, reworded]


# ---------------------------------------------------------------- in a process of its own


def outcome(path, is_checkpoint, task):
    """Load a file and use its content; return the outcome."""
    try:
        if is_checkpoint:
            _use(evoopt.load(path, task))
        else:
            repr(evoopt.load_params(path))
    except ValueError as error:
        return "refused" if _is_of(error, path) else f"{error!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return "works"


def _is_of(error, path):
    """Whether an error names the damaged file, or says that the task is another one."""
    return f'"{path}"' in str(error) or "state of a task" in str(error)


def _use(es):
    repr(es)
    if es.popsize > 100_000:  # a generation takes too much time and memory
        return
    population = es.ask()
    if population.shape != (es.popsize, es.n_params):
        raise TypeError(f"a population of {es.popsize} x {es.n_params} has the shape {population.shape}")
    es.tell(population, sphere(population))
    es.stop()
    es.ask()


def main(start, stop, seed):
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    logging.disable()
    evoopt.set_num_threads(1)
    files, task = victims(), _task()
    names = sorted(files)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.npz")
        for name in names:  # compiles the kernels
            path.write_bytes(files[name])
            if outcome(path, not name.startswith("params"), task if name == "task" else None) != "works":
                raise RuntimeError(f"the file of {name} does not load")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        print("ready", flush=True)
        for number in range(start, stop):
            rng = np.random.default_rng([seed, number])
            name, damage = names[rng.integers(len(names))], DAMAGES[rng.integers(len(DAMAGES))]
            path.write_bytes(damage(files[name], rng))
            begun = time.process_time()
            found = outcome(path, not name.startswith("params"), task if name == "task" else None)
            if found not in ("refused", "works") or time.process_time() > begun + SLOW:
                found = f"{name}, file {number} of seed {seed}, {damage.__name__}: {found}"
            print(found, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
