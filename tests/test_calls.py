"""Sentences for calls of functions and constructors in a wrong form or with a wrong kind."""

import dataclasses
import inspect
import re

import numba
import numpy as np
import pytest
from helpers import JIT_DISABLED
from numpy.lib.stride_tricks import as_strided

import evoopt

NET = evoopt.Network([evoopt.Dense(3), evoopt.Dense(1)], input_shape=(4,))
CART = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
FUNCTIONS = {name: value for name in evoopt.__all__ if inspect.isfunction(value := getattr(evoopt, name))}
CLASSES = {
    name: value
    for name in evoopt.__all__
    if isinstance(value := getattr(evoopt, name), type) and not issubclass(value, tuple | evoopt.ParamSpec)
}
HUGE = as_strided(np.zeros(1), (2**40,), (0,))
WORDS = [
    None,
    3,
    b"tanh",
    ["tanh"],
    np.array(["tanh", "relu"]),
    np.ones(2),
    "tan",
    {"a": 1},
    np.array("tanh"),
]
FLAGS = [None, "yes", 2, [True], np.ones(2), 0.5]


def named(value):
    """Return a name for a parameter without addresses, so that it is the same in each process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_a_wrong_form_names_what_was_called(name):
    call = getattr(evoopt, name)
    named = rf"^(Options of )?{name} must be .*[.?]$"
    for arguments, options in (((1,) * 30, {}), ((), {"no_such_option": 1})):
        # methods of scipy may have any options, branches and values any number, variables any name
        allowed = {("scipy_method", False), ("Parallel", True), ("Choice", True), ("Space", False)}
        if (name, bool(arguments)) not in allowed:
            with pytest.raises(TypeError, match=named):
                call(*arguments, **options)


def test_the_form_and_the_nearest_name_are_told():
    with pytest.raises(
        TypeError, match=r"evolve\(strategy, task, \.\.\.\), got: .*max_generations instead of"
    ):
        evoopt.evolve(1, 2, max_generation=3)
    with pytest.raises(TypeError, match=r"minimize\(fun, \.\.\.\), got: .*bounds instead of bound\?"):
        evoopt.minimize(sum, [1.0], bound=3)
    with pytest.raises(TypeError, match=r"Dense\(units, \.\.\.\), got: .*units instead of unit\?"):
        evoopt.Dense(unit=3)
    with pytest.raises(TypeError, match=r"get_num_threads\(\), got: too many"):
        evoopt.get_num_threads(3)


def test_a_type_error_inside_of_a_call_stays_what_it_is():
    with pytest.raises(TypeError, match=r"^mine$"):
        evoopt.minimize(lambda x: (_ for _ in ()).throw(TypeError("mine")), [1.0])
    assert evoopt.minimize.__name__ == "minimize"
    assert "fun" in inspect.signature(evoopt.minimize).parameters


@pytest.mark.parametrize("wrong", WORDS, ids=named)
@pytest.mark.parametrize(
    "call",
    [
        lambda word: evoopt.Dense(2, kernel_init=word),
        lambda word: evoopt.Conv2D(2, 3, padding=word),
        lambda word: evoopt.MaxPool2D(2, padding=word),
        lambda word: evoopt.GRU(2, recurrent_init=word),
        lambda word: evoopt.RNN(2, word),
        lambda word: evoopt.OpenAIES([1.0], 1.0, optimizer=word),
        lambda word: evoopt.GA([1.0], 1.0, mutation=word),
        lambda word: evoopt.SNES([1.0], 1.0, device=word),
        lambda word: evoopt.Network([evoopt.Dense(2)], (2,), word),
        lambda word: evoopt.SNES([1.0], 1.0, dtype="" if word is None else word),
        lambda word: evoopt.minimize(sum, [1.0], method="" if word is None else word),
        lambda word: evoopt.Supervised(NET, np.ones((2, 4)), [1, 2], word),
    ],
)
def test_a_word_is_one_of_some(call, wrong):
    with pytest.raises(ValueError, match=r"(?s)^[\w ]+ (must be|of) .*got"):
        call(wrong)


@pytest.mark.parametrize("wrong", FLAGS, ids=named)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("use_bias", lambda flag: evoopt.Dense(2, use_bias=flag)),
        ("use_bias", lambda flag: evoopt.Conv2D(2, 3, use_bias=flag)),
        ("use_bias", lambda flag: evoopt.LSTM(2, use_bias=flag)),
        ("return_sequences", lambda flag: evoopt.GRU(2, return_sequences=flag)),
        ("self_adaptation", lambda flag: evoopt.GA([1.0], 1.0, self_adaptation=flag)),
        ("reevaluate", lambda flag: evoopt.GA([1.0], 1.0, reevaluate=[] if flag is None else flag)),
        ("vectorized", lambda flag: evoopt.Objective(sum, vectorized=flag)),
        ("vectorized", lambda flag: evoopt.minimize(sum, [1.0], vectorized=flag)),
        ("cast", lambda flag: NET.spec.unravel(np.ones(NET.spec.size), flag)),
    ],
)
def test_a_flag_is_true_or_false(name, call, wrong):
    with pytest.raises(ValueError, match=f"^{name} must be True or False, got"):
        call(wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda: evoopt.CMAES(HUGE, 1.0),
        lambda: evoopt.CMAES([1.0], HUGE),
        lambda: evoopt.CMAES([1.0], 1.0, bounds=HUGE),
        lambda: evoopt.CMAES([1.0], 1.0, popsize=2**62),
        lambda: evoopt.SNES([1.0], 1.0).ask_ids(2**62),
        lambda: evoopt.SNES([1.0], 1.0).rows(HUGE),
        lambda: evoopt.LMMAES([1.0], 1.0, directions=2**62),
        lambda: evoopt.Network([evoopt.Dense(2**62)], (2,)),
        lambda: evoopt.Network([evoopt.LSTM(2**28)], (2, 2)),
        lambda: evoopt.Network([evoopt.Conv2D(1, 1)], (2**40, 2**40, 1)),
        lambda: NET.forward(np.ones((2, NET.spec.size)), as_strided(HUGE, (2**40, 4), (0, 0))),
        lambda: NET.initial_state(2**62, 2**62),
        lambda: evoopt.Rollout(CART, evoopt.envs.cartpole, 2**62)(np.ones((1, CART.spec.size))),
        lambda: evoopt.minimize(sum, HUGE),
    ],
)  # fmt: skip
def test_what_no_machine_holds_is_refused_at_once(call):
    with pytest.raises(ValueError, match=r"^[\w ]+ (needs [\d,]+ bytes for|must be) .*\.$"):
        call()


LONG, SQUARE, FLAT = 2**63, (2**30, 2**30), (1,) * 63


def function_network(input_shape, output_shape):
    return evoopt.FunctionNetwork(sum, NET.spec, input_shape, output_shape)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("input_shape", lambda: evoopt.Network([evoopt.Dense(2)], LONG)),
        ("input_shape", lambda: evoopt.Network([evoopt.Dense(2)], SQUARE)),
        ("input_shape", lambda: evoopt.Network([evoopt.Dense(2)], FLAT)),
        ("input_shape", lambda: function_network(np.array([LONG], np.uint64), (1,))),
        ("output_shape", lambda: function_network((1,), SQUARE)),
        ("shape", lambda: evoopt.Reshape(SQUARE)),
        ("shape of the part 'a'", lambda: evoopt.Split({"a": (LONG, []), "b": ((2,), [])})),
        ("The output_shape of Dense", lambda: evoopt.Network([evoopt.Dense(LONG)], (2,))),
        (
            "The shape of the parameter 'kernel' of Dense",
            lambda: evoopt.Network([evoopt.Dense(2**31)], (2**30,)),
        ),
        ('The shape of "a"', lambda: evoopt.ParamSpec.from_shapes({"a": LONG})),
        ('The shape of "a"', lambda: evoopt.ParamSpec.from_shapes({"a": (0, *SQUARE)})),
        ('The shape of "a.b"', lambda: evoopt.ParamSpec.from_shapes({"a.b": (FLAT, "float64")})),
        (
            "The vector of all parameters",
            lambda: evoopt.ParamSpec.from_shapes(dict.fromkeys("ab", 2**59)),
        ),
        *(
            (name, lambda name=name: dataclasses.replace(evoopt.envs.cartpole, **{name: LONG}))
            for name in ("state_size", "observation_size", "uniforms")
        ),
        (
            "The number of discrete actions",
            lambda: dataclasses.replace(evoopt.envs.cartpole, actions=LONG),
        ),
    ],
)
def test_a_shape_that_no_array_can_have(name, call):
    sentence = rf"^{re.escape(name)} must be of a size that arrays can have, .*\.$"
    with pytest.raises(ValueError, match=sentence):
        call()


def test_the_largest_shape_of_an_array():
    largest = 2**60 - 1
    assert evoopt.ParamSpec.from_shapes({"a": largest}).size == largest
    assert evoopt.Reshape((1,) * 62).shape == (1,) * 62
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        evoopt.Reshape((2, 2**59))
    assert str(refused.value) == (
        "shape must be of a size that arrays can have, at most 62 axes and 1,152,921,504,606,846,975 "
        "numbers, got (2, 576460752303423488); make it smaller."
    )


def test_rows_are_not_numbered_for_nothing():
    es, twin = (evoopt.SNES([1.0], 1.0, popsize=4, seed=1) for _ in range(2))
    es.ask_ids()
    with pytest.raises(ValueError, match="ask_ids needs"):
        es.ask_ids(2**62)
    twin.ask_ids()
    assert es.ask_ids().tolist() == twin.ask_ids().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("wrong", [3, b"x", "", "a\0b", "\ud800", ["a"], 1.5, np.array("a")], ids=named)
@pytest.mark.parametrize(
    "call",
    [
        lambda path: evoopt.SNES([1.0], 1.0).save(path),
        evoopt.load,
        evoopt.load_params,
        lambda path: evoopt.save_params(path, {"a": np.ones(2)}),
        evoopt.CSVLogger,
        lambda path: evoopt.minimize(sum, [1.0], options={"log": path}),
    ],
)
def test_a_path_is_one(call, wrong):
    with pytest.raises(ValueError, match=r"^(path|log) must be the path of a file such as .*, got .*\.$"):
        call(wrong)


@pytest.mark.parametrize("wrong", ["a", [1], np.ones(2), object(), 3, None], ids=named)
@pytest.mark.parametrize(
    "call",
    [
        NET.spec.expand,
        evoopt.ParamSpec.from_shapes,
        lambda it: evoopt.ParamSpec.from_json(NET.spec.to_json(), 3 if it is None else it),
        evoopt.Rollout(CART, evoopt.envs.cartpole).load_state,
    ],
)
def test_a_mapping_is_one(call, wrong):
    with pytest.raises(ValueError, match=r"must be a dict or another mapping, got a \w+\.$"):
        call(wrong)


@pytest.mark.parametrize("wrong", ["0.1", -1, 0, np.nan, [0.1], np.ones(3), 1j, 10**400, sum], ids=named)
@pytest.mark.parametrize("cls", [evoopt.OpenAIES, evoopt.PGPE])
def test_a_learning_rate_that_is_set_is_read(cls, wrong):
    es = cls([1.0, 2.0], 0.5, popsize=4, seed=1, learning_rate=0.2)
    with pytest.raises(ValueError, match=r"(?s)^learning_rate must be .*, got .*\.$"):
        es.learning_rate = wrong
    assert es.learning_rate == 0.2
    es.learning_rate = np.float32(0.5)
    assert type(es.learning_rate) is float


@pytest.mark.parametrize("cls", [evoopt.IPOP, evoopt.BIPOP])
def test_a_start_that_is_set_is_a_function(cls):
    es = cls(evoopt.CMAES([1.0, 2.0], 0.5))
    with pytest.raises(ValueError, match=r"^start must be a function of a numpy Generator, got 3\.$"):
        es.start = 3
    assert es.start is None


@numba.njit
def _scale(x, y, gain):
    y[:] = x


@pytest.mark.parametrize(
    ("parameters", "shape", "what"),
    [
        (None, (3,), "The result of parameters"),
        ([1], (3,), "The result of parameters"),
        ({"gain": (3,)}, (3,), "parameters()"),
        ({3: evoopt.Parameter((3,), "ones")}, (3,), "parameters()"),
        ({"gain": evoopt.Parameter(3, "ones")}, (3,), "The shape of the parameter 'gain'"),
        ({"gain": evoopt.Parameter((-3,), "ones")}, (3,), "The shape of the parameter 'gain'"),
        ({"gain": evoopt.Parameter((3,), "twos")}, (3,), "The initializer of the parameter 'gain'"),
        ({"gain": evoopt.Parameter((3,), "he_normal", 0)}, (3,), "fan_in"),
        ({}, 3, "The output_shape"),
        ({}, ("a",), "The output_shape"),
        ({}, (0,), "The output_shape"),
        ({}, None, "The output_shape"),
    ],
)
def test_what_a_layer_of_ones_own_says_of_itself_is_read(parameters, shape, what):
    class Scale(evoopt.Layer):
        def parameters(self, input_shape):
            return parameters

        def output_shape(self, input_shape):
            return shape

        def function(self, input_shape):
            return _scale

    with pytest.raises(ValueError, match=rf"^{re.escape(what)}.* of Scale .*, got .*\.$"):
        evoopt.Network([Scale(), evoopt.Dense(1)], (3,))


@pytest.mark.skipif(JIT_DISABLED, reason="numba compiles nothing")
@pytest.mark.parametrize(("vectorized", "args"), [(True, ()), (False, ([],)), (False, [])])
def test_numba_says_nothing_by_itself(vectorized, args):
    @numba.njit
    def total(x, *args):
        found = 0.0
        for value in x:
            found += value
        return found

    with pytest.raises(ValueError, match=r"^The compiled function total must take .*\.$"):
        evoopt.Objective(total, args, vectorized)(np.ones((2, 3)))


@pytest.mark.parametrize("wrong", [None, 3, [1.0], lambda function, rows: None, lambda *given: 1], ids=named)
def test_workers_are_a_function_like_map(wrong):
    with pytest.raises(ValueError, match=r"^workers must be a function like map, .*, got .*\.$"):
        list(evoopt.Objective(sum).each(np.ones((2, 3)), wrong))


@pytest.mark.parametrize("wrong", [3, 0.5, np.array(1.0), object(), [3], [None], []], ids=named)
def test_trainable_is_a_name_names_or_a_function(wrong):
    with pytest.raises(
        ValueError, match=r"^trainable must be a name, names or a function of a name, got .*\.$"
    ):
        evoopt.ParamSpec.from_params({"a": np.ones(2)}, wrong)


@pytest.mark.parametrize("wrong", [-1, 1.5, "a", [1], np.timedelta64(1, "s"), 1j], ids=named)
def test_seeds_and_generations_are_whole_numbers(wrong):
    with pytest.raises(ValueError, match=r"^seed must be a whole number of at least 0, got"):
        NET.init(wrong)
    task = evoopt.Supervised(NET, np.ones((4, 4)), np.ones(4), "mse", batch_size=2)
    with pytest.raises(ValueError, match=r"^generation must be a whole number of at least 0, got"):
        task(np.ones((1, NET.spec.size)), wrong)
    with pytest.raises(ValueError, match=r"^popsize must be a whole number of at least 2, got"):
        evoopt.SNES([1.0], 1.0, popsize=wrong)


def test_numbers_beyond_float32_are_infinite_without_a_warning():
    population = np.ones((1, NET.spec.size), np.float32)
    assert not np.isfinite(NET.forward(population, np.full((1, 4), 1e308))).any()


def test_an_epsilon_that_float32_takes_for_0_is_refused():
    with pytest.raises(ValueError, match=r"^epsilon must be from 1e-30 to 1e\+30, got"):
        evoopt.LayerNorm(1e-310)


@pytest.mark.parametrize("value", [np.eye(3), "a" * 1000, ["b"] * 1000, np.ma.ones(3), {"a": np.eye(2)}])
def test_a_value_in_a_sentence_is_one_short_line(value):
    for call in (
        lambda: evoopt.SNES([1.0], 1.0, popsize=value),
        lambda: evoopt.SNES([1.0], 1.0, device=value),
        lambda: evoopt.SNES([1.0], 1.0).save([value]),
        lambda: evoopt.Dense(2, kernel_init=value),
        lambda: evoopt.minimize(sum, [1.0], method=value),
        lambda: evoopt.evolve(evoopt.SNES([1.0], 1.0), value),
        lambda: evoopt.set_num_threads(value),
    ):
        with pytest.raises(ValueError, match=r"^[^\n]{30,700}\.$"):
            call()


def test_patterns_and_strides_of_any_size():
    with pytest.raises(ValueError, match=r"^trainable must be a name, names or a function of a name, got "):
        NET.freeze(NET.init(1), trainable=HUGE)
    with pytest.raises(ValueError, match=r"^strides must be a whole number from 1 to "):
        evoopt.Conv2D(2, (2, 2), strides=np.uint64(2**64 - 1))
