"""Data that every function refuses, and calls that must be refused in a sentence."""

import warnings

import numpy as np
import pytest


class Tensor:
    """A stand-in for tensors of torch and Keras, whose dtype numpy does not know."""

    dtype = "another library's"

    def __init__(self, values, dtype):
        self.values = np.asarray(values, dtype)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter([Tensor(value, self.values.dtype) for value in self.values])


class Grad:
    """A torch tensor that requires a gradient."""

    def __init__(self, values):
        self.shape = np.shape(values)

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy().")


def one_masked(values):
    values = np.asarray(values)
    mask = np.zeros(values.shape, bool)
    mask.flat[-1] = True
    return np.ma.array(values, mask=mask)


def whole(values):
    return np.asarray(values).astype(int)


def one_item(item):
    def change(values):
        values = np.asarray(values).astype(object)
        values.flat[-1] = item
        return values

    return change


REFUSED = {
    "masked": one_masked,
    "a list of masked": lambda values: list(one_masked(values)),
    "complex": lambda values: np.asarray(values) + 1j,
    "complex without an imaginary part": lambda values: np.asarray(values).astype(complex),
    "text": lambda values: np.asarray(values).astype(str),
    "a list of text": lambda values: np.asarray(values).astype(str).tolist(),
    "bytes": lambda values: np.asarray(values).astype("S"),
    "dates": lambda values: whole(values).astype("datetime64[s]"),
    "durations": lambda values: whole(values).astype("timedelta64[s]"),
    "None among numbers": one_item(None),
    "complex among objects": one_item(1 + 0j),
    "text among objects": one_item("1.0"),
    "records": lambda values: np.asarray(values).astype([("x", float)]),
    "beyond float64": one_item(10**400),
    "beyond float64 in extended precision": lambda values: values * np.longdouble("1e400"),
    "a tensor that requires a gradient": Grad,
    "nothing": lambda values: None,
    "a set": lambda values: {1.0, 2.0},
}
if np.finfo(np.longdouble).max == np.finfo(float).max:
    del REFUSED["beyond float64 in extended precision"]
each_refused = pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED.keys())


def refuses(call, error=ValueError):
    """Require that a call is refused in a sentence with "must" and "got", without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=r"(?s)^[A-Za-z].* must .* got .*\.$"):
            call()


def refusal(call, *words):
    """Require that a call is refused in a sentence that contains the words."""
    with pytest.raises(ValueError, match=r"\.$") as caught:
        call()
    for word in words:
        assert word in str(caught.value)
