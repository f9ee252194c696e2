"""Supervised tasks against the naive definition."""

import pickle

import numba
import numpy as np
import pytest
import reference
from helpers.networks import COLUMNS, LANES

import evoopt

BATCHES = [1, LANES, COLUMNS, COLUMNS + LANES + 3]


@numba.njit
def own_loss(outputs, target):
    return (outputs[0] - target) ** 2


@pytest.fixture
def net():
    return evoopt.Network([evoopt.Dense(7, "tanh"), evoopt.Dense(3)], input_shape=(4,))


def problem(net, popsize, samples, rng):
    population = rng.normal(size=(popsize, net.spec.size))
    return (
        population,
        rng.normal(size=(samples, 4)),
        rng.integers(0, 3, samples),
        rng.dirichlet([1, 1, 1], samples),
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("samples", BATCHES)
def test_losses_match_the_definition(net, samples, dtype, tolerance, rng):
    population, inputs, labels, soft = problem(net, 3, samples, rng)
    outputs = net.forward(population, inputs)
    tasks = [
        (evoopt.Supervised(net, inputs, labels), reference.cross_entropy, labels),
        (evoopt.Supervised(net, inputs, soft), reference.cross_entropy, soft),
        (evoopt.Supervised(net, inputs, soft, loss="mse"), reference.mse, soft),
    ]
    for task, definition, targets in tasks:
        found = task(population.astype(dtype))
        assert found.dtype == np.float64
        expected = [reference.mean_loss(definition, z, targets) for z in outputs]
        np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_one_output_takes_flat_targets(rng):
    net = evoopt.Network([evoopt.Dense(1, "sigmoid")], input_shape=(2,))
    population, inputs, targets = rng.normal(size=(4, 3)), rng.normal(size=(9, 2)), rng.normal(size=9)
    flat, column = (evoopt.Supervised(net, inputs, t, loss="mse") for t in (targets, targets[:, None]))
    assert np.array_equal(flat(population), column(population))
    expected = [np.mean((net.predict(row, inputs)[:, 0] - targets) ** 2) for row in population]
    np.testing.assert_allclose(flat(population), expected, rtol=1e-13)


def test_nan_weights_give_nan(net, rng):
    population, inputs, labels, _ = problem(net, 3, 20, rng)
    population[1, 5] = np.nan
    assert np.isnan(evoopt.Supervised(net, inputs, labels)(population)).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_nan_logit_gives_nan(dtype):
    net = evoopt.Network([evoopt.Dense(3)], input_shape=(1,))
    population = np.zeros((3, 6), dtype)
    population[[0, 1, 2], [0, 1, 2]] = np.nan  # one bias of each row
    assert np.isnan(evoopt.Supervised(net, [[1.0]], [0])(population)).all()


def test_a_task_keeps_its_own_data(net, rng):
    population, inputs, labels, _ = problem(net, 2, 20, rng)
    task = evoopt.Supervised(net, inputs, labels)
    expected = evoopt.Supervised(net, inputs.copy(), labels.copy())(population)
    inputs[:], labels[:] = 0, 10**6
    assert np.array_equal(task(population), expected)
    assert task.evaluate(population[0])["loss"] == expected[0]


def test_a_used_task_is_pickled_without_its_tiles(net, rng):
    """Tiles are as wide as the registers of one machine."""
    population, inputs, labels, _ = problem(net, 2, 20, rng)
    task = evoopt.Supervised(net, inputs, labels)
    size, expected = len(pickle.dumps(task)), task(population)
    text = pickle.dumps(task)
    assert len(text) == size
    assert np.array_equal(pickle.loads(text)(population), expected)


def test_large_logits_do_not_overflow(rng):
    net = evoopt.Network([evoopt.Dense(3)], input_shape=(1,))
    row = np.array([[500.0, -500.0, 0.0, 0.0, 0.0, 0.0]], np.float32)
    task = evoopt.Supervised(net, [[0.0], [0.0]], [0, 1])
    np.testing.assert_allclose(task(row), 500.0, rtol=1e-6)


def test_minibatches_follow_from_the_generation(net, rng):
    population, inputs, labels, _ = problem(net, 2, 10, rng)
    task = evoopt.Supervised(net, inputs, labels, batch_size=3, seed=4)
    assert task.noisy
    assert not evoopt.Supervised(net, inputs, labels, batch_size=10).noisy
    fitness = [task(population, generation) for generation in range(6)]
    again = evoopt.Supervised(net, inputs, labels, batch_size=3, seed=4)
    assert all(np.array_equal(again(population, g), fitness[g]) for g in (5, 0, 3))
    # An epoch is three batches of different samples: nine of the ten samples, each once.
    each = np.array(
        [evoopt.Supervised(net, x[None], [y])(population) for x, y in zip(inputs, labels, strict=True)]
    )
    missing = each.sum(axis=0) - 3 * np.sum(fitness[:3], axis=0)
    assert np.isclose(each, missing).all(axis=1).any()
    assert not np.array_equal(fitness[0], fitness[3])  # the next epoch has another order


def test_evaluate(net, rng):
    population, inputs, labels, soft = problem(net, 1, 50, rng)
    task = evoopt.Supervised(net, inputs, labels)
    outputs = net.predict(population[0], inputs)
    metrics = task.evaluate(population[0])
    assert metrics["loss"] == pytest.approx(reference.mean_loss(reference.cross_entropy, outputs, labels))
    assert metrics["accuracy"] == pytest.approx(np.mean(outputs.argmax(axis=1) == labels))
    part = task.evaluate(net.spec.unravel(population[0]), inputs[:7], labels[:7])
    assert part["accuracy"] == pytest.approx(np.mean(outputs[:7].argmax(axis=1) == labels[:7]))
    assert task.evaluate(population[0], inputs, soft)["accuracy"] == pytest.approx(
        np.mean(outputs.argmax(axis=1) == soft.argmax(axis=1))
    )
    assert set(evoopt.Supervised(net, inputs, soft, loss="mse").evaluate(population[0])) == {"loss"}


X, Y = np.zeros((5, 4)), np.zeros(5, int)


@pytest.mark.parametrize(
    ("arguments", "options", "parts"),
    [
        ((X, Y), {"loss": "l1"}, ["mse, mae", "got 'l1'", "numba.njit"]),
        ((X[:, 1:], Y), {}, ["(samples, 4)", "got (5, 3)"]),
        ((X[:0], Y[:0]), {}, ["(samples, 4)", "got (0, 4)"]),
        ((X, Y[1:]), {}, ["5 samples", "got 4"]),
        ((X, Y + 3), {}, ["0 to 2", "got 3 to 3"]),
        ((X, Y - 1), {}, ["0 to 2", "got -1 to -1"]),
        ((X, Y + 0.5), {}, ["integer", "got float64", "astype(int)"]),
        ((X, Y[:, None]), {}, ["(5, 3)", "got (5, 1)", "(5,)"]),
        ((1.0, 0), {}, ["inputs must be an array", "got one number"]),
        ((X.astype(str), Y), {}, ["inputs must be real numbers", "got text"]),
        ((X, np.zeros((5, 2))), {}, ["(5, 3)", "got (5, 2)"]),
        ((X, np.zeros((5, 2))), {"loss": "mse"}, ["(5, 3)", "got (5, 2)"]),
        ((X, Y), {"batch_size": 6}, ["from 1 to 5", "got 6"]),
        ((X, Y), {"batch_size": 0}, ["from 1 to 5", "got 0"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(net, arguments, options, parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        evoopt.Supervised(net, *arguments, **options)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_inputs_and_targets_must_be_finite_and_the_first_sample_is_named(net, loss, wrong, rng):
    population, inputs, labels, soft = problem(net, 1, 20, rng)
    targets = labels if loss == "cross_entropy" else soft
    task = evoopt.Supervised(net, inputs, targets, loss)
    bad, bad_soft = inputs.copy(), soft.copy()
    bad[[7, 11, 12], [3, 0, 1]] = bad_soft[[5, 6], [0, 1]] = wrong
    for call in (
        lambda: evoopt.Supervised(net, bad, targets, loss),
        lambda: evoopt.Supervised(net, bad.tolist(), targets, loss),
        lambda: evoopt.Supervised(net, bad.astype(np.float32), targets, loss, batch_size=2),
        lambda: task.evaluate(population[0], bad, targets),
    ):
        with pytest.raises(ValueError, match=r"inputs must be finite.*in sample 7 and in 2 more"):
            call()
    for call in (
        lambda: evoopt.Supervised(net, inputs, bad_soft, loss),
        lambda: task.evaluate(population[0], inputs, bad_soft),
    ):
        with pytest.raises(ValueError, match=r"targets must be finite.*in sample 5 and in 1 more"):
            call()
    with pytest.raises(ValueError, match=r"in sample 7;"):
        evoopt.Supervised(net, bad[:9], targets[:9], loss)


def test_inputs_and_targets_of_no_weight_may_be_nan(net, rng):
    population, inputs, _, soft = problem(net, 3, 20, rng)
    weights = np.ones(20)
    weights[[3, 9]] = 0
    expected = evoopt.Supervised(net, inputs, soft, "mse", weights)(population)
    inputs[[3, 9]] = soft[3] = np.nan
    assert np.array_equal(evoopt.Supervised(net, inputs, soft, "mse", weights)(population), expected)
    inputs[10] = np.inf
    with pytest.raises(ValueError, match="sample 10;"):
        evoopt.Supervised(net, inputs, soft, "mse", weights)


@pytest.mark.parametrize("where", ["inputs", "targets"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_numbers_beyond_single_precision_are_refused_there(net, where, batch_size, rng):
    population, inputs, _, targets = problem(net, 2, 5, rng)
    (inputs if where == "inputs" else targets)[3, 1] = 1e39
    task = evoopt.Supervised(net, inputs, targets, "mse", batch_size=batch_size)
    assert np.isfinite(task(population)).all()
    for call in (task, lambda rows: task.evaluate(rows[0])):
        with pytest.raises(
            ValueError, match=rf"^{where} must be .* float32 holds, got some beyond 3.4e\+38;"
        ):
            call(population.astype(np.float32))


class Categories:
    """A column of labels like pandas's, which numpy reads as an array of objects."""

    def __array__(self, dtype=None, copy=None):
        return np.array(["cat", "dog", "cat", "owl", "dog"], object)


TEXT = {
    "an array": np.array(["cat", "dog", "cat", "owl", "dog"]),
    "a list": ["cat", "dog", "cat", "owl", "dog"],
    "bytes": np.array([b"cat", b"dog", b"cat", b"owl", b"dog"]),
    "objects": np.array(["cat", "dog", "cat", "owl", "dog"], object),
    "strings of any length": np.array(["cat", "dog", "cat", "owl", "dog"], np.dtypes.StringDType()),
    "categories": Categories(),
}


@pytest.mark.parametrize("kind", TEXT)
def test_labels_of_text_are_refused_with_their_conversion(net, kind):
    labels, task = TEXT[kind], evoopt.Supervised(net, X, Y)
    for call in (
        lambda: evoopt.Supervised(net, X, labels),
        lambda: evoopt.Supervised(net, X, labels, "mse"),
        lambda: task.evaluate(np.zeros(net.spec.size), X, labels),
    ):
        with pytest.raises(ValueError, match=r"got text such as b?'cat';.*\.$") as caught:
            call()
    line = str(caught.value).rpartition("number the classes by ")[2].removesuffix(".")
    names = {"numpy": np, "labels": labels}
    exec(line, names)
    assert names["targets"].tolist() == [0, 1, 0, 2, 1]
    assert evoopt.Supervised(net, X, names["targets"])(np.zeros((1, net.spec.size))).shape == (1,)


@pytest.mark.frameworks
def test_labels_of_a_table_of_pandas(net):
    pandas = pytest.importorskip("pandas")
    for dtype in ("category", "string", object):
        with pytest.raises(ValueError, match="got text such as 'cat'; number the classes"):
            evoopt.Supervised(net, X, pandas.Series(TEXT["a list"], dtype=dtype))


def test_softmax_before_cross_entropy_is_refused():
    net = evoopt.Network([evoopt.Dense(3, "softmax")], input_shape=(4,))
    with pytest.raises(ValueError, match="logits"):
        evoopt.Supervised(net, X, Y)
    evoopt.Supervised(net, X, np.zeros((5, 3)), loss="mse")


def test_evaluate_wants_inputs_and_targets(net):
    with pytest.raises(ValueError, match="together"):
        evoopt.Supervised(net, X, Y).evaluate(np.zeros(net.spec.size), X)


def test_a_task_is_shown_in_one_line(net, rng):
    inputs, labels = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    shown = "Supervised(Network(59 parameters), 9 samples, loss='hinge', device='cpu')"
    assert repr(evoopt.Supervised(net, inputs, labels, "hinge")) == shown
    task = evoopt.Supervised(net, inputs, labels, own_loss, sample_weight=[0, *[1] * 8], batch_size=5)
    shown = "Supervised(Network(59 parameters), 8 samples, loss=own_loss, batch_size=5, device='cpu')"
    assert repr(task) == repr(pickle.loads(pickle.dumps(task))) == shown
