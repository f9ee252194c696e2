"""Tensors of a recorded module, whose numbers lie elsewhere in another order."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evoopt.interop.torch.recording.values import Value, inverse


def tensor_of(value, output):
    """Return the tensor of one sample, from the output of its node."""
    return output.reshape(value.stored).transpose(value.axes).reshape(value.shape)


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@st.composite
def values(draw):
    shape = draw(shapes)
    return Value.ordered("node", tuple(draw(st.permutations(range(len(shape))))), shape)


@st.composite
def splits(draw, shape):
    """Return a shape of the same size: axes are joined, and then some are split."""
    size, found = math.prod(shape), []
    while size > 1 or not found:
        found.append(draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0])))
        size //= found[-1]
        if len(found) == 5:
            break
    return (*found, size) if size > 1 else tuple(found)


@given(values(), st.data())
def test_reshapes_and_permutations_move_no_number(value, data):
    output = np.arange(math.prod(value.shape))
    expected = tensor_of(value, output)
    for _ in range(3):
        if value.order is not None and data.draw(st.booleans()):
            order = tuple(data.draw(st.permutations(range(len(value.shape)))))
            value, expected = value.permuted(order), expected.transpose(order)
        else:
            shape = data.draw(splits(value.shape))
            value, expected = value.reshaped(shape), expected.reshape(shape)
        assert value.shape == expected.shape
        np.testing.assert_array_equal(tensor_of(value, output), expected)


@given(values(), st.data())
def test_places_are_of_the_stored_numbers(value, data):
    value = value.reshaped(data.draw(splits(value.shape)))
    output = np.arange(math.prod(value.shape))
    flat, places = tensor_of(value, output).ravel(), value.places
    np.testing.assert_array_equal(flat if places is None else flat[places], output)


@given(values())
def test_the_order_is_the_stored_one(value):
    output = np.arange(math.prod(value.shape))
    np.testing.assert_array_equal(tensor_of(value, output).transpose(value.order).ravel(), output)
    assert inverse(inverse(value.order)) == value.order


def test_an_image_may_be_joined_and_split_where_it_is_stored():
    image = Value.ordered("node", (1, 2, 0), (3, 4, 5))  # (channels, height, width), channels last
    places = image.reshaped((3, 20))
    assert (places.stored, places.axes) == ((20, 3), (1, 0))
    assert image.reshaped((1, 3, 2, 2, 5)).order is not None
    flat = image.reshaped((60,))
    assert flat.order is None
    assert flat.reshaped((3, 4, 5)) == Value.ordered("node", (1, 2, 0), (3, 4, 5))
    np.testing.assert_array_equal(flat.places[:4], [0, 20, 40, 1])
