"""Arrays of the device: shared memory, arrays of other libraries, copies to the host."""

import copy
import pickle

import numpy as np
import pytest
from helpers import SIMULATED

import evoopt
from evoopt.kernels.cuda.runtime.foreign import is_device_array
from evoopt.kernels.cuda.runtime.stream import Stream


class Foreign:
    """Another library's array: it has its interface, and no copy to the host."""

    def __init__(self, array, **interface):
        self._array = array  # an array of the device, or of the host in the simulator
        found = array.__cuda_array_interface__ if is_device_array(array) else array.__array_interface__
        self.__cuda_array_interface__ = {**found, "version": 2, **interface}

    def __array__(self, dtype=None, copy=None):
        raise TypeError("the array is on the device")


def test_parts_share_the_memory():
    stream = Stream()
    host = np.arange(12, dtype=np.float32).reshape(4, 3)
    array = stream.to_device(host, np.float32)
    assert (array.shape, array.ndim, array.size, array.nbytes, len(array)) == ((4, 3), 2, 12, 48, 4)
    for key in (0, -1, np.int64(2), slice(None), slice(1, 3), slice(3, 1)):
        np.testing.assert_array_equal(array[key], host[key])
    np.testing.assert_array_equal(array.reshape(12), host.ravel())
    np.testing.assert_array_equal(array.reshape((6, 2)), host.reshape(6, 2))
    np.testing.assert_array_equal(array.view(np.uint32), host.view(np.uint32))
    np.testing.assert_array_equal(array.view(np.float64)[:0], np.empty((0, 1)))
    number = array[1][2]
    assert isinstance(number, np.float32)
    assert number == 5
    stream.copy(np.full(3, -1, np.float32), array[1:3][1])
    assert np.asarray(array)[2].tolist() == [-1, -1, -1]
    assert [float(row[0]) for row in array] == [0, 3, -1, 9]


def test_what_an_array_of_the_device_cannot_do():
    array = Stream().to_device(np.zeros((4, 3)), np.float32)
    for key in (slice(None, None, 2), (0, 1), [0, 1], "x"):
        with pytest.raises(IndexError, match=r"take numpy\.asarray"):
            array[key]
    with pytest.raises(IndexError, match="Row 4 was asked for, but there are 4"):
        array[4]
    with pytest.raises(ValueError, match=r"shape \(4, 3\) has no 5 numbers"):
        array.reshape(5)
    with pytest.raises(ValueError, match="copied to the host"):
        np.asarray(array, copy=False)
    assert repr(array) == "DeviceArray(shape=(4, 3), dtype=float32)"


def test_copies_have_arrays_of_the_host():
    array = Stream().to_device(np.arange(3), np.float64)
    for other in (copy.deepcopy(array), pickle.loads(pickle.dumps(array))):
        assert isinstance(other, np.ndarray)
        np.testing.assert_array_equal(other, [0, 1, 2])
    assert np.asarray(array, np.float32).dtype == np.float32


def test_the_interface_of_an_array():
    stream = Stream()
    array = stream.to_device(np.zeros((2, 3)), np.float64)
    found = array.__cuda_array_interface__
    assert found["shape"] == (2, 3)
    assert found["typestr"] == "<f8"
    assert found["data"][0] == array.address
    assert found["stream"] == stream.number
    assert stream.adopt(array) is array
    assert Stream().to_device(array, np.float64) is array
    assert stream.empty((0, 3), np.float32).address == 0


def test_alignment():
    stream = Stream()
    for n, alignment in ((8, 4), (6, 2), (5, 1)):
        rows = stream.empty((3, n), np.float32)
        assert rows.alignment == alignment
        assert rows[1:].alignment == alignment
    assert stream.empty(9, np.float32)[1:].reshape(2, 4).alignment == 1
    assert stream.empty(10, np.float32)[2:].reshape(2, 4).alignment == 2


def test_arrays_of_other_libraries_are_not_copied():
    stream = Stream()
    array = stream.to_device(np.arange(6).reshape(2, 3), np.float32)
    for foreign in (Foreign(array), Foreign(array, stream=1), Foreign(array, strides=(12, 4))):
        assert is_device_array(foreign)
        found = stream.adopt(foreign)
        assert found.address == array.address
        np.testing.assert_array_equal(stream.to_device(foreign, np.float32), np.asarray(array))
        np.testing.assert_array_equal(stream.to_device(foreign, np.float64), np.asarray(array))


@pytest.mark.skipif(
    not SIMULATED, reason="views of the host's memory are of the device where it is simulated"
)
@pytest.mark.parametrize(
    "view", [lambda x: x.T, lambda x: x[::2], lambda x: x[::-1, 1:], lambda x: x[:, :1], lambda x: x[:0]]
)
def test_strided_arrays_of_other_libraries_are_copied(view):
    strided = view(np.arange(12, dtype=np.float32).reshape(4, 3))
    np.testing.assert_array_equal(Stream().to_device(Foreign(strided), np.float32), strided)
    with pytest.raises(ValueError, match="out must be a C-contiguous array"):
        Stream().output(Foreign(np.zeros((4, 3), np.float32).T), (3, 4), np.float32)


@pytest.mark.parametrize("name", ["SNES", "CMAES"])
def test_a_search_with_arrays_of_another_library(name):
    """Rows, fitness and `out` are arrays like those that torch and CuPy make."""
    stream, runs = Stream(), []
    for wrap in (np.asarray, lambda x: Foreign(stream.to_device(x, np.float64))):
        es = getattr(evoopt, name)(np.ones(4), 0.5, popsize=6, seed=1, device="cuda")
        out = stream.empty((6, 4), np.float64)
        for _ in range(3):
            assert es.ask(out=Foreign(out)).address == out.address
            rows = np.asarray(out)
            es.tell(wrap(rows), wrap((rows**2).sum(axis=1)))
        runs.append(es.mean)
    np.testing.assert_array_equal(*runs)


def test_a_network_takes_rows_that_begin_anywhere(rng):
    net = evoopt.Network([evoopt.Dense(4, "tanh"), evoopt.Dense(4)], input_shape=(4,), device="cuda")
    rows, inputs = rng.normal(size=(3, net.spec.size)).astype(np.float32), rng.normal(size=(20, 4))
    stream = Stream()
    for shift in (0, 1, 2):
        memory = stream.to_device(np.concatenate([np.zeros(shift), rows.ravel()]), np.float32)
        shifted = memory[shift:].reshape(rows.shape)
        for batch in (inputs[:2], inputs):
            np.testing.assert_allclose(
                net.forward(shifted, batch), np.asarray(net.forward(rows, batch)), rtol=1e-5, atol=1e-6
            )
        task = evoopt.Supervised(net, inputs, np.arange(20) % 4)
        np.testing.assert_allclose(task(shifted), np.asarray(task(rows)), rtol=1e-5, atol=1e-6)
