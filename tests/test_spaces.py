"""Spaces: variables by name, rows of their values, dicts, JSON, and what is refused."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
from helpers.refusals import REFUSED, Tensor, refusal, refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from evoopt import Choice, Integer, Real, Space

SPACE = Space(
    optimizer={"rate": Real(1e-5, 0.1, log=True), "momentum": Real(0, 1)},
    layers=Integer(1, 8),
    units=Integer(8, 512, log=True),
    angle=Real(0, 360, periodic=True),
    act=Choice("relu", "tanh", None),
)
VALUES = {
    "optimizer": {"rate": 0.001, "momentum": 0.9},
    "layers": 2,
    "units": 64,
    "angle": 359.5,
    "act": "tanh",
}
ROW = [0.001, 0.9, 2, 64, 359.5, 1]

# ---------------------------------------------------------------- any space

ends = st.floats(-1e300, 1e300)
wholes = st.integers(-(2**53), 2**53)
plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
names = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1, max_size=4)


@st.composite
def reals(draw):
    low, high = sorted([draw(ends), draw(ends)])
    log = low > 0 and draw(st.booleans())
    return Real(low, high, log=log, periodic=low < high and not log and draw(st.booleans()))


@st.composite
def integers(draw):
    low, high = sorted([draw(wholes), draw(wholes)])
    return Integer(low, high, log=low > 0 and draw(st.booleans()))


choices = st.lists(plain, min_size=1, max_size=4, unique=True).map(lambda values: Choice(*values))
variables = reals() | integers() | choices
trees = st.recursive(
    variables, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=6
)
spaces = st.dictionaries(names, trees, min_size=1, max_size=4).map(lambda tree: Space(**tree))


def value_of(variable):
    """Return values of a variable, its ends among them."""
    if isinstance(variable, Choice):
        return st.sampled_from(variable.values)
    if isinstance(variable, Integer):
        return st.integers(variable.low, variable.high)
    return st.floats(variable.low, variable.high)


def rows_of(space):
    columns = [value_of(each) for each in space.variables]
    columns = [
        st.integers(0, each.high) if isinstance(each, Choice) else column
        for each, column in zip(space.variables, columns, strict=True)
    ]
    return st.tuples(*columns)


def leaves(values):
    found = (leaves(each) if isinstance(each, dict) else [each] for each in values.values())
    return [*itertools.chain(*found)]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_rows_and_values_are_one_to_one(data):
    space = data.draw(spaces)
    population = np.array(data.draw(st.lists(rows_of(space), min_size=1, max_size=4)), np.float64)
    columns, records = space.decode(population), space.records(population)
    assert_array_equal(space.encode(columns), population)
    assert_array_equal(space.encode(records), population)
    for i, row in enumerate(population):
        values = space.decode(row)
        assert_array_equal(space.encode(values), row)
        assert leaves(values) == leaves(records[i]) == [column[i] for column in leaves(columns)]
        for value, variable in zip(leaves(values), space.variables, strict=True):
            if isinstance(variable, Choice):
                assert any(value is each or value == each for each in variable.values)
            else:
                assert type(value) is (int if isinstance(variable, Integer) else float)
                assert variable.low <= value <= variable.high


@settings(max_examples=150, deadline=None)
@given(spaces)
def test_a_space_comes_back_from_its_texts_and_copies(space):
    known = {"Space": Space, "Real": Real, "Integer": Integer, "Choice": Choice}
    again = [
        Space.from_json(space.to_json()),
        eval(repr(space), known),
        pickle.loads(pickle.dumps(space)),
        copy.deepcopy(space),
    ]
    for other in again:
        assert other == space
        assert hash(other) == hash(space)
        assert repr(other) == repr(space)
        assert len(other) == len(space.names)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rows_of_float32_come_back(data):
    variable = data.draw(reals().filter(lambda each: max(abs(each.low), abs(each.high)) < 1e30))
    space = Space(x=variable)
    row = space.encode({"x": data.draw(value_of(variable))}, dtype=np.float32)
    value = space.decode(row)["x"]
    assert variable.low <= value <= variable.high
    assert_array_equal(space.encode({"x": value}, dtype=np.float32), row)


# ---------------------------------------------------------------- this space


def test_the_order_is_as_written():
    assert SPACE.names == ("optimizer.rate", "optimizer.momentum", "layers", "units", "angle", "act")
    assert SPACE.decode(ROW) == VALUES
    assert list(SPACE.decode(ROW)) == list(VALUES)
    assert_array_equal(SPACE.encode(VALUES), ROW)
    assert_array_equal(SPACE.low, [1e-5, 0, 1, 8, 0, 0])
    assert_array_equal(SPACE.high, [0.1, 1, 8, 512, 360, 2])
    assert Space(a=Real(0, 1), b=Real(0, 1)) != Space(b=Real(0, 1), a=Real(0, 1))


@pytest.mark.parametrize("name", ["learning rate", "class", "1", "\N{MICRO SIGN}", "self", "cls"])
def test_any_name_without_dots(name):
    space = Space(**{name: Real(0, 1)})
    assert eval(repr(space), {"Space": Space, "Real": Real}) == space
    assert space.decode([0.5]) == {name: 0.5}


def test_values_in_any_order_and_by_dotted_names():
    flat = dict(reversed(VALUES.items())) | {"optimizer.rate": 0.001, "optimizer.momentum": 0.9}
    del flat["optimizer"]
    assert_array_equal(SPACE.encode(flat), ROW)
    assert_array_equal(SPACE.encode(each for each in [flat, VALUES]), [ROW, ROW])


def test_columns_of_a_population_are_arrays_of_their_own():
    population = np.array([ROW, ROW])
    columns = SPACE.decode(population)
    assert [column.dtype.kind for column in leaves(columns)] == ["f", "f", "i", "i", "f", "O"]
    columns["angle"][:] = 0
    assert_array_equal(population, [ROW, ROW])
    assert Space(act=Choice("relu", "tanh")).decode([[1], [0]])["act"].tolist() == ["tanh", "relu"]


@pytest.mark.parametrize("form", [list, tuple, np.array, lambda row: Tensor(row, float)])
def test_rows_are_arrays_of_any_library(form):
    assert SPACE.decode(form(ROW)) == VALUES


def test_numbers_of_other_types_are_values():
    space = Space(x=Real(0, 9), n=Integer(0, 9), c=Choice(1, "1", True and 2))
    row = space.encode({"x": np.float32(2.5), "n": np.int8(3), "c": np.int64(2)})
    assert_array_equal(row, [2.5, 3, 2])
    assert space.decode(row) == {"x": 2.5, "n": 3, "c": 2}


@pytest.mark.parametrize("variable", [Real(2, 2), Real(2, 2, log=True), Integer(2, 2), Choice("two")])
def test_a_variable_with_one_value(variable):
    space = Space(x=variable)
    row = [0] if isinstance(variable, Choice) else [2]
    assert_array_equal(space.encode(space.decode(row)), row)


def test_a_thousand_variables():
    space = Space(**{f"x{i}": [Real(0, i + 1), Integer(0, i), Choice("a", i)][i % 3] for i in range(1000)})
    rows = [space.low, space.high]
    assert_array_equal(space.encode(space.decode(rows)), rows)
    assert Space.from_json(space.to_json()) == space


# ---------------------------------------------------------------- what is refused

SPACES_REFUSED = {
    "nothing": Space,
    "an empty group": lambda: Space(a={}),
    "a number": lambda: Space(a=3),
    "a list": lambda: Space(a=[Real(0, 1)]),
    "a class": lambda: Space(a=Real),
    "a name with a dot": lambda: Space(**{"a.b": Real(0, 1)}),
    "no name": lambda: Space(a={"": Real(0, 1)}),
    "a number as a name": lambda: Space(a={1: Real(0, 1)}),
    "low above high": lambda: Real(1, 0),
    "an open side": lambda: Real(0, math.inf),
    "NaN": lambda: Real(math.nan, 1),
    "text": lambda: Real("0", 1),
    "too far": lambda: Real(0, 1e301),
    "a logarithm of zero": lambda: Real(0, 1, log=True),
    "a flag": lambda: Real(0, 1, log="yes"),
    "a periodic logarithm": lambda: Real(1, 2, log=True, periodic=True),
    "an empty period": lambda: Real(1, 1, periodic=True),
    "a fraction": lambda: Integer(0, 1.5),
    "too many integers": lambda: Integer(0, 2**53 + 1),
    "integers in the wrong order": lambda: Integer(3, 2),
    "an integer logarithm of zero": lambda: Integer(0, 3, log=True),
    "no choice": Choice,
    "equal choices": lambda: Choice("a", "a"),
    "choices that Python takes for equal": lambda: Choice(True, 1),
    "a list among choices": lambda: Choice([1, 2], 3),
    "a function among choices": lambda: Choice(len),
    "NaN among choices": lambda: Choice(math.nan, 1.0),
}
ROWS_REFUSED = {
    "too short": ROW[:5],
    "a cube": [[ROW]],
    "outside": [0.2, *ROW[1:]],
    "NaN": [math.nan, *ROW[1:]],
    "half an integer": [*ROW[:2], 2.5, *ROW[3:]],
    "half a choice": [*ROW[:5], 0.5],
    "no choice": [*ROW[:5], 3],
    "a negative choice": [*ROW[:5], -1],
    "beyond the period": [*ROW[:4], 361, 1],
}
VALUES_REFUSED = {
    "a number": 3,
    "nothing": [],
    "a row": ROW,
    "a missing name": {name: value for name, value in VALUES.items() if name != "act"},
    "an unknown name": VALUES | {"other": 1},
    "a name twice": VALUES | {"optimizer.rate": 0.001},
    "a group as a value": VALUES | {"layers": {"n": 2}},
    "a value as a group": VALUES | {"optimizer": 0.1},
    "outside": VALUES | {"layers": 9},
    "a float as an integer": VALUES | {"layers": 2.0},
    "an unknown choice": VALUES | {"act": "gelu"},
    "a list as a choice": VALUES | {"act": [["relu"]]},
    "one column": VALUES | {"act": ["relu"]},
    "a bool": VALUES | {"angle": True},
}
COLUMN = '{"name": "x", "kind": "Choice", "values": [1]}'
COLUMNS_REFUSED = [
    COLUMN.replace("Choice", "Complex"),
    COLUMN.replace("[1]", "[]"),
    COLUMN.replace('"x"', "3"),
    COLUMN.replace("values", "numbers"),
    '{"name": "x", "kind": "Real", "low": 0}',
    '{"name": "x", "kind": "Real", "low": 2, "high": 1}',
    f"{COLUMN}, {COLUMN}",
    f"{COLUMN}, {COLUMN.replace('x', 'x.y')}",
    f"{COLUMN.replace('x', 'a.x')}, {COLUMN}, {COLUMN.replace('x', 'a.y')}",
]
TEXTS_REFUSED = [None, 3, "", "{}", "[]", "null", '{"variables": 3}', '{"variables": []}']
TEXTS_REFUSED += [f'{{"variables": [{columns}]}}' for columns in (3, *COLUMNS_REFUSED)]


@pytest.mark.parametrize("call", SPACES_REFUSED.values(), ids=SPACES_REFUSED)
def test_other_variables_are_refused_in_a_sentence(call):
    refuses(call)


def test_dicts_in_each_other_without_end_are_refused():
    tree = {}
    tree["again"] = tree
    refuses(lambda: Space(a=tree))


@pytest.mark.parametrize("row", ROWS_REFUSED.values(), ids=ROWS_REFUSED)
def test_other_rows_are_refused_in_a_sentence(row):
    refuses(lambda: SPACE.decode(row))
    refuses(lambda: SPACE.records([ROW, row] if np.ndim(row) == 1 and len(row) == len(ROW) else row))


@pytest.mark.parametrize("bad", REFUSED)
def test_rows_are_real_numbers(bad):
    refuses(lambda: SPACE.decode(REFUSED[bad](np.array([ROW, ROW]))))


def test_one_row_is_no_population():
    refuses(lambda: SPACE.records(ROW))


@pytest.mark.parametrize("values", VALUES_REFUSED.values(), ids=VALUES_REFUSED)
def test_other_values_are_refused_in_a_sentence(values):
    refuses(lambda: SPACE.encode(values))
    if isinstance(values, dict):
        refuses(lambda: SPACE.encode([VALUES, values]))


def test_columns_have_one_length():
    columns = SPACE.decode([ROW, ROW])
    refuses(lambda: SPACE.encode(columns | {"layers": [1]}))
    refuses(lambda: SPACE.encode([columns, columns]))


@pytest.mark.parametrize("text", TEXTS_REFUSED)
def test_other_texts_are_refused_in_a_sentence(text):
    refuses(lambda: Space.from_json(text))


def test_an_error_names_the_variable():
    with pytest.raises(ValueError, match=r"^layers must be a whole number from 1 to 8, got 9\.0\.$"):
        SPACE.decode([0.001, 0.9, 9, 64, 0, 1])
    with pytest.raises(ValueError, match=r"^optimizer\.rate must be from 1e-05 to 0\.1, got 0\.2\.$"):
        SPACE.encode(VALUES | {"optimizer": {"rate": 0.2, "momentum": 0}})
    with pytest.raises(ValueError, match=r"^act must be one of \('relu', 'tanh', None\), got 'gelu'\.$"):
        SPACE.encode(VALUES | {"act": "gelu"})


@pytest.mark.parametrize(("largest", "fits"), [(2**24, True), (2**24 + 1, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_float32_holds_whole_numbers_up_to_a_limit(largest, fits, sign):
    space = Space(n=Integer(min(sign * largest, 0), max(sign * largest, 0)))
    if not fits:
        refuses(lambda: space.encode({"n": 0}, dtype="float32"))
        refuses(lambda: space.decode(np.zeros(1, np.float32)))
        return
    row = space.encode({"n": sign * largest}, dtype="float32")
    assert row.dtype == np.float32
    assert space.decode(row) == {"n": sign * largest}


def test_a_list_of_choices_is_refused_with_the_way_to_write_it():
    refusal(lambda: Choice(["relu", "tanh"]), "got ['relu', 'tanh']", "Choice(*values)")


def test_float32_holds_no_larger_values():
    space = Space(x=Real(0, 1e300))
    refuses(lambda: space.encode({"x": 1e39}, dtype="float32"))
    refuses(lambda: space.encode([{"x": 1e39}], dtype="float32"))
    assert space.decode(space.encode({"x": 3e38}, dtype="float32"))["x"] == pytest.approx(3e38)


def test_the_wrong_form_is_refused_in_a_sentence():
    for call in (
        lambda: Space({"x": Real(0, 1)}),
        lambda: Real(0),
        lambda: Integer(0, 1, step=2),
        lambda: Choice(values=[1]),
    ):
        with pytest.raises(TypeError, match=r"^(Space|Real|Integer|Choice) must be called as .*, got.*\.$"):
            call()
