"""Arrays that other libraries lend and borrow, by DLPack and the CUDA Array Interface."""

import gc
import sys
import types
import weakref

import numpy as np
import pytest
from helpers import SIMULATED
from lender import COPIED, READ_ONLY, Lender, Taken

import evoopt
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream


class Interface:
    """Another library's array whose only interface is the CUDA Array Interface."""

    def __init__(self, array, **entries):
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, **entries}


@pytest.fixture
def stream():
    return Stream()


@pytest.fixture
def array(stream):
    return stream.to_device(np.arange(12).reshape(3, 4), np.float32)


@pytest.mark.parametrize("flags", [None, 0, READ_ONLY])
def test_dlpack_comes_before_the_interface(flags, stream, array):
    """DLPack takes our stream; JAX's interface has no stream, and JAX would not wait."""

    class Both(Lender):
        @property
        def __cuda_array_interface__(self):
            raise AssertionError("the interface was read, but there is DLPack")

    lender = Both(array, flags=flags, offset=64)
    assert is_device_array(lender)
    found = stream.adopt(lender)
    assert (found.address, found.shape, found.dtype) == (array.address, array.shape, array.dtype)
    assert found.read_only == (flags == READ_ONLY)
    np.testing.assert_array_equal(found, np.asarray(array))
    assert lender.asked == [stream.number]
    assert stream.number != 0


@pytest.mark.parametrize("flags", [None, 0])
@pytest.mark.parametrize("strides", [None, (4, 1)])
def test_what_is_lent_goes_back_once_nobody_needs_it(strides, flags, stream, array):
    lender = Lender(array, strides=strides, flags=flags)
    parts = [stream.adopt(lender)[1:].reshape(8)]
    parts.append(parts)  # a cycle of garbage
    gc.collect()
    assert lender.returned == 0
    del parts
    gc.collect()
    assert lender.returned == 1
    with pytest.raises(ValueError, match="C-contiguous"):
        stream.output(lender, (5, 5), np.float32)
    gc.collect()
    assert lender.returned == 2


def test_strided_memory_is_copied_and_goes_back(stream, array):
    lender = Lender(array, shape=(4, 3), strides=(1, 4))
    found = stream.adopt(lender)
    np.testing.assert_array_equal(found, np.asarray(array).T)
    assert found.address != array.address
    assert lender.returned == 1
    with pytest.raises(ValueError, match=r"out must be a C-contiguous array of float32 \(4, 3\)"):
        stream.output(lender, (4, 3), np.float32)


@pytest.mark.parametrize(
    ("lender", "message"),
    [
        (lambda x: Lender(x, code=4), "must have a dtype that numpy has, got code 4"),  # bfloat16
        (
            lambda x: Lender(x, device=(2, 1)),
            "must be on device 0, .*, got one on device 1",
        ),
        (lambda x: Interface(x, mask=x), "must be without masked entries"),
    ],
)
def test_what_cannot_be_taken_is_refused(lender, message, stream, array):
    with pytest.raises(ValueError, match=message):
        stream.adopt(lender(array))


@pytest.mark.parametrize("error", [BufferError, RuntimeError])
def test_the_library_says_why_it_does_not_lend(error, stream, array):
    class Refusing(Lender):
        def __dlpack__(self, **options):
            raise error("can't export what requires grad.")

    with pytest.raises(ValueError, match=r"got a Refusing that it does not: can't export .* grad\.$"):
        stream.given("population", Refusing(array))


@pytest.mark.parametrize(
    "lend", [lambda x: Lender(x, flags=READ_ONLY), lambda x: Interface(x, data=(x.address, True))]
)
def test_out_that_is_read_only_is_refused(lend, rng):
    stream = Stream()
    net = evoopt.Network([evoopt.Dense(3)], input_shape=(4,), device="cuda")
    rows, inputs = rng.normal(size=(2, net.spec.size)).astype(np.float32), rng.normal(size=(5, 4))
    es = evoopt.SNES(np.ones(4), 0.5, popsize=6, seed=1, device="cuda")
    for shape, dtype, write in (
        ((2, 5, 3), np.float32, lambda out: net.forward(rows, inputs, out=out)),
        ((6, 4), np.float64, lambda out: es.ask(out=out)),
        ((6, 4), np.float64, lambda out: es.rows(es.ask_ids(), out=out)),
    ):
        out = stream.to_device(np.full(shape, 3), dtype)
        with pytest.raises(ValueError, match="out must be writable, got an array that is read-only"):
            write(lend(out))
        assert (np.asarray(out) == 3).all()
        write(Lender(out, flags=0))
        assert (np.asarray(out) != 3).any()


def test_an_array_that_comes_back_to_its_library(stream, array):
    """The array names a stream other than 0, and stays read-only."""
    for entries in ({"stream": None}, {"stream": 1}, {"stream": 0}):
        for read_only in (False, True):
            lent = stream.adopt(Interface(array, **{"data": (array.address, read_only), **entries}))
            for part in (lent, lent[1:], lent.reshape(12), lent.view(np.uint32)):
                found = part.__cuda_array_interface__
                assert found["stream"] == (None if SIMULATED else 1)
                assert found["data"][1] == read_only
    lent = stream.adopt(Lender(array, flags=READ_ONLY))
    assert lent.__cuda_array_interface__["stream"] == stream.number
    assert Taken(lent.__dlpack__(max_version=(1, 0))).managed.flags == READ_ONLY
    with pytest.raises(BufferError):
        lent.__dlpack__()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint64, np.int64])
@pytest.mark.parametrize(("version", "name"), [(None, b"dltensor"), ((1, 1), b"dltensor_versioned")])
def test_capsules_of_ours(version, name, dtype, stream):
    host = np.arange(6).reshape(2, 3)
    made = stream.to_device(host, dtype)
    for array in (made, stream.empty((0, 3), dtype), made[1:1]):
        assert array.__dlpack_device__() == (2, 0)
        taken = Taken(array.__dlpack__(stream=1, max_version=version))
        assert taken.name == name
        address = array.address if array.size else 0
        assert (taken.address, taken.shape, taken.device) == (address, array.shape, (2, 0))
        assert array.__cuda_array_interface__["data"] == (address, False)
        assert taken.dtype == ("iuf".index(np.dtype(dtype).kind), 8 * np.dtype(dtype).itemsize, 1)
        taken.give_back()


@pytest.mark.parametrize("number", [None, 1, 2, -1])
@pytest.mark.parametrize("taken", [True, False])
def test_a_capsule_keeps_the_memory(taken, number):
    array = Stream().to_device(np.ones(3), np.float64)
    gone = weakref.ref(array)
    capsule = array.__dlpack__(stream=number, max_version=(1, 0))
    del array
    gc.collect()
    assert gone() is not None
    if taken:
        taker = Taken(capsule)
        del capsule
        gc.collect()
        assert gone() is not None
        taker.give_back()
    else:
        del capsule
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("number", [0, -2])
def test_a_stream_that_is_no_number_of_one(number, array):
    with pytest.raises(ValueError, match=f"stream must be -1, 1, 2, .* got {number}"):
        array.__dlpack__(stream=number)


def test_copies_in_capsules(array):
    """The argument `copy` asks for a device copy; `dl_device` may ask for a copy on the host."""
    taken = Taken(array.__dlpack__(copy=True, max_version=(1, 0)))
    assert taken.managed.flags == COPIED
    assert taken.address != array.address
    copied = DeviceArray(taken.address, array.shape, array.dtype, array.stream, None)
    np.testing.assert_array_equal(Stream().adopt(copied), np.asarray(array))
    taken.give_back()
    assert not Taken(array.__dlpack__(copy=False, max_version=(1, 0))).managed.flags
    np.testing.assert_array_equal(np.from_dlpack(array, device="cpu"), np.asarray(array))
    assert Taken(array.__dlpack__(dl_device=(1, 0), max_version=(1, 0))).managed.flags == COPIED
    with pytest.raises(ValueError, match="copied to the host"):
        array.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match=r"dl_device must be \(2, 0\) or \(1, 0\), got \(2, 1\)"):
        array.__dlpack__(dl_device=(2, 1))
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(array)


def test_a_round_trip(stream, array):
    class Only:
        """Our array, seen by a library that looks for DLPack alone."""

        __dlpack__, __dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    found = stream.adopt(Only())
    assert found.address == array.address
    np.testing.assert_array_equal(found, np.asarray(array))


def test_jax_takes_arrays_by_dlpack(monkeypatch, array):
    """JAX's asarray asks `__jax_array__` first; it keeps no array of the interface alive."""
    jax = types.ModuleType("jax.numpy")
    jax.from_dlpack = lambda x: Taken(x.__dlpack__(stream=2, max_version=(1, 0)))
    monkeypatch.setitem(sys.modules, "jax", types.ModuleType("jax"))
    monkeypatch.setitem(sys.modules, "jax.numpy", jax)
    assert array.__jax_array__().address == array.address


def test_a_search_with_arrays_that_are_lent():
    """Rows, fitness and `out` belong to a library that names no stream."""
    stream, runs = Stream(), []
    for wrap in (np.asarray, lambda x: Lender(stream.to_device(x, np.float64))):
        es = evoopt.SNES(np.ones(4), 0.5, popsize=6, seed=1, device="cuda")
        out = stream.empty((6, 4), np.float64)
        for _ in range(3):
            assert es.ask(out=Lender(out)).address == out.address
            rows = np.asarray(out)
            es.tell(wrap(rows), wrap((rows**2).sum(axis=1)))
        runs.append(es.mean)
    np.testing.assert_array_equal(*runs)
