"""Losses against their float64 definitions, and installed torch, scikit-learn and scipy."""

import pickle

import numba
import numpy as np
import pytest
import reference
from helpers import JIT_DISABLED
from helpers.networks import TOLERANCES
from hypothesis import assume, given
from hypothesis import strategies as st

import evoopt
from evoopt.networks.layers import Layer
from evoopt.rules import losses
from evoopt.rules.losses import ALL_OUTPUTS, LOSSES, squared_error

KINDS = [(name, meaning) for name, meanings in LOSSES.items() for meaning in meanings]
LARGEST = 9 if JIT_DISABLED else 140


def passing(n):
    """Return a network whose outputs are its inputs (-0 becomes 0), and its only parameters."""
    net = evoopt.Network([evoopt.Dense(n, use_bias=False)], input_shape=(n,))
    return net, np.eye(n).reshape(1, -1)


def draw_targets(meaning, samples, n, rng):
    if meaning == "labels":
        return rng.integers(0, n, samples)
    if meaning == "probabilities":
        return rng.dirichlet(np.ones(n), samples)
    if meaning == "chances":
        return rng.choice([0.0, 0.25, 1.0], (samples, n))
    if meaning == "signs":
        return rng.choice([-1.0, 1.0], (samples, n))
    return rng.normal(size=(samples, n))


def outputs_of(kind, draw_n):
    """Return the number of outputs that a loss requires, or a drawn one."""
    return {
        ("error_rate", "signs"): 1,
        ("hinge", "labels"): max(draw_n, 2),
        ("error_rate", "labels"): max(draw_n, 2),
    }.get(kind, draw_n)


def mean_loss(name, outputs, targets, weights=None):
    return reference.mean_loss(reference.LOSSES[name], outputs, targets, weights)


def rules_without_a_row():
    rows = [rule for meanings in LOSSES.values() for rule in meanings.values()]
    own = {name: value for name, value in vars(losses).items() if name[0] != "_" and callable(value)}
    rules = {name: value for name, value in own.items() if value.__module__ == losses.__name__}
    return [name for name, rule in rules.items() if rule not in rows]


def test_each_rule_has_a_row(monkeypatch):
    assert rules_without_a_row() == []

    def planted(z, target):
        return z - target

    planted.__module__ = losses.__name__
    monkeypatch.setattr(losses, "planted", planted, raising=False)
    assert rules_without_a_row() == ["planted"]


def test_a_rule_of_one_output_needs_a_row_and_no_more(monkeypatch, rng):
    monkeypatch.setitem(LOSSES, "planted", {"values": squared_error})
    net, row = passing(3)
    z, targets = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    found = evoopt.Supervised(net, z, targets, "planted")(row)
    assert np.array_equal(found, evoopt.Supervised(net, z, targets, "mse")(row))


def test_a_row_over_all_outputs_needs_a_loop(monkeypatch):
    monkeypatch.setitem(LOSSES, "planted", {"labels": ALL_OUTPUTS})
    net, _ = passing(2)
    with pytest.raises(KeyError, match=r"'planted', 'labels'"):
        evoopt.Supervised(net, np.zeros((3, 2)), [0, 1, 1], "planted")
    with pytest.raises(ValueError, match=r"of shape \(3,\) .* loss 'planted', got \(3, 2\)"):
        evoopt.Supervised(net, np.zeros((3, 2)), np.zeros((3, 2)), "planted")


def test_the_docstring_and_the_error_list_the_table():
    net, _ = passing(2)
    listed, _, explained = evoopt.Supervised.__doc__.partition("Notes")
    for name in LOSSES:
        assert f'"{name}"' in listed
        assert f'"{name}"' in explained
    with pytest.raises(ValueError, match=", ".join(LOSSES)):
        evoopt.Supervised(net, np.zeros((3, 2)), [0, 1, 1], "l1")


@pytest.mark.parametrize("kind", KINDS)
@given(
    n=st.integers(1, 12),
    samples=st.integers(1, LARGEST),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1e4]),
    dtype=st.sampled_from(list(TOLERANCES)),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_matches_the_definition(kind, n, samples, scale, dtype, weighted, seed):
    rng, (name, meaning), n = np.random.default_rng(seed), kind, outputs_of(kind, n)
    net, row = passing(n)
    z = (scale * rng.normal(size=(samples, n))).astype(dtype)
    targets = draw_targets(meaning, samples, n, rng)
    weights = rng.choice([0.0, 0.5, 3.0], samples) if weighted else None
    assume(weights is None or weights.any())
    task = evoopt.Supervised(net, z, targets, name, sample_weight=weights)
    if meaning in {"values", "probabilities", "chances"}:
        targets = targets.astype(dtype)
    expected = mean_loss(name, z, targets.astype(float) if meaning == "values" else targets, weights)
    tolerance = TOLERANCES[dtype] * max(1.0, scale)  # some losses are differences of logits
    assert task(row.astype(dtype))[0] == pytest.approx(expected, rel=TOLERANCES[dtype], abs=tolerance)


@numba.njit
def nines_to_nan(x, y):
    for i in range(len(x)):
        for s in range(x.shape[1]):
            y[i, s] = np.nan if x[i, s] == 9 else x[i, s]


class NinesToNaN(evoopt.Layer):
    """A layer that makes a NaN, which Supervised refuses in its inputs."""

    def function(self, input_shape):
        return nines_to_nan


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 3, 20])
def test_nan_gives_nan(kind, samples, dtype, rng):
    name, meaning = kind
    n = outputs_of(kind, 3)
    row = np.eye(n, dtype=dtype).reshape(1, -1)
    net = evoopt.Network([evoopt.Dense(n, use_bias=False), NinesToNaN()], input_shape=(n,))
    targets = draw_targets(meaning, samples, n, rng)
    for sample in {0, samples - 1}:
        for output in range(n):
            inputs = rng.normal(size=(samples, n)).astype(dtype)
            inputs[sample, output] = 9
            assert np.isnan(evoopt.Supervised(net, inputs, targets, name)(row)).all()


# outputs, a target, and the loss by definition
EXTREMES = [
    ("cross_entropy", [1e4, -1e4, 0.0], 0, 0.0),
    ("cross_entropy", [1e4, -1e4, 0.0], 1, 2e4),
    ("cross_entropy", [10000.0, 9999.0, 0.0], 0, np.log1p(np.exp(-1))),
    ("cross_entropy", [1.0, -np.inf, 1.0], 0, np.log(2)),
    ("cross_entropy", [1.0, -np.inf, 1.0], 1, np.inf),
    ("cross_entropy", [1.0, np.inf, 1.0], 1, np.nan),
    ("cross_entropy", [-np.inf] * 3, 1, np.nan),
    ("cross_entropy", [1e4, -1e4, 0.0], [0.5, 0.0, 0.5], 5e3),
    ("binary_cross_entropy", [1e4, -1e4], [1, 0], 0.0),
    ("binary_cross_entropy", [1e4, -1e4], [0, 1], 1e4),
    ("binary_cross_entropy", [1e4, -1e4], [0.25, 0.25], 5e3),
    ("binary_cross_entropy", [20.0], [1], np.log1p(np.exp(-20))),  # small but not 0
    ("binary_cross_entropy", [np.inf], [0.5], np.inf),
    ("mse", [np.inf, 0.0], [0.0, 0.0], np.inf),
    ("mae", [1e4, -1e4], [0.0, 0.0], 1e4),
    ("hinge", [1e4, -1e4], [1, -1], 0.0),
    ("hinge", [1e4, -1e4], [-1, 1], 10001.0),
    ("hinge", [1e4, -1e4, 0.0], 0, 0.0),
    ("hinge", [1e4, -1e4, 0.0], 1, 20001.0),
    ("hinge", [np.inf, 0.0, 0.0], 0, 0.0),
    ("hinge", [np.inf, 0.0, 0.0], 1, np.inf),
    ("hinge", [np.inf, np.inf, 0.0], 1, np.nan),
    ("error_rate", [np.inf, 0.0, -np.inf], 0, 0.0),
    ("error_rate", [np.inf, 0.0, -np.inf], 2, 1.0),
    ("error_rate", [1.0, 1.0, 0.0], 0, 0.0),  # the first of equal outputs counts
    ("error_rate", [1.0, 1.0, 0.0], 1, 1.0),
    ("error_rate", [0.0], [-1], 0.0),
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("loss", "outputs", "target", "expected"), EXTREMES)
@pytest.mark.parametrize("samples", [1, 2 * Layer.few_samples])
def test_extremes(loss, outputs, target, expected, samples, dtype):
    n = len(outputs)
    net = evoopt.Network([evoopt.Dense(n)], input_shape=(1,))
    row = np.zeros(2 * n, dtype)
    row[:n] = outputs  # outputs are biases, because products would turn infinity into NaN
    task = evoopt.Supervised(net, np.zeros((samples, 1)), np.array([target] * samples), loss)
    with np.errstate(invalid="ignore"):  # NumPy warns without the JIT
        assert task(row[None])[0] == pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.frameworks
def test_against_torch(rng):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    z, labels = rng.normal(0, 3, (50, 4)), rng.integers(0, 4, 50)
    soft, numbers = rng.dirichlet(np.ones(4), 50), rng.normal(size=(50, 4))
    for loss, function, targets in [
        ("cross_entropy", functional.cross_entropy, labels),
        ("cross_entropy", functional.cross_entropy, soft),
        ("binary_cross_entropy", functional.binary_cross_entropy_with_logits, soft),
        ("mse", functional.mse_loss, numbers),
        ("mae", functional.l1_loss, numbers),
    ]:
        net, row = passing(4)
        expected = float(function(torch.tensor(z), torch.tensor(targets)))
        assert evoopt.Supervised(net, z, targets, loss)(row)[0] == pytest.approx(expected, rel=1e-12)
    net, row = passing(2)  # the sum over the other class has one term
    expected = 2 * float(functional.multi_margin_loss(torch.tensor(z[:, :2]), torch.tensor(labels % 2)))
    assert evoopt.Supervised(net, z[:, :2], labels % 2, "hinge")(row)[0] == pytest.approx(expected, rel=1e-12)


def test_against_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    z, labels, weights = rng.normal(size=(50, 4)), rng.integers(0, 4, 50), rng.uniform(1, 2, 50)
    net, row = passing(4)
    found = evoopt.Supervised(net, z, labels, "hinge", sample_weight=weights)(row)[0]
    expected = metrics.hinge_loss(labels, z, labels=range(4), sample_weight=weights)
    assert found == pytest.approx(expected, rel=1e-12)
    found = evoopt.Supervised(net, z, labels, "error_rate", sample_weight=weights)(row)[0]
    assert found == pytest.approx(1 - metrics.accuracy_score(labels, z.argmax(1), sample_weight=weights))
    net, row = passing(1)
    found = evoopt.Supervised(net, z[:, :1], labels > 1, "hinge")(row)[0]
    assert found == pytest.approx(metrics.hinge_loss(labels > 1, z[:, 0]), rel=1e-12)


@numba.njit
def pinball(outputs, target):
    return max(0.9 * (target - outputs[0]), 0.1 * (outputs[0] - target))


@numba.njit
def logit_of_class(outputs, target):
    outputs[0] += 1  # a loss may write into its arguments
    return outputs[target]


@numba.njit
def product(outputs, target):
    return (outputs * target[:3]).sum() - target[3]


@pytest.mark.parametrize("samples", [1, 7, 90])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_loss_of_ones_own(samples, dtype, rng):
    net, row = passing(3)
    row = np.repeat(row, 5, axis=0).astype(dtype)
    z = rng.normal(size=(samples, 3)).astype(dtype)
    cases = [
        (pinball, rng.normal(size=samples).astype(dtype)),
        (logit_of_class, rng.integers(0, 3, samples)),
        (product, rng.normal(size=(samples, 4)).astype(dtype)),
    ]
    for function, targets in cases:
        task = evoopt.Supervised(net, z, targets, loss=function)
        expected = reference.mean_loss(function, [each.copy() for each in z], targets)
        np.testing.assert_allclose(task(row), expected, rtol=1e-5)
        assert set(task.evaluate(row[0])) == {"loss"}
        assert np.array_equal(pickle.loads(pickle.dumps(task))(row), task(row))


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_loss_that_raises_gives_nan():
    @numba.njit
    def picky(outputs, target):
        if outputs[0] > 1:
            raise ValueError("too large")
        return outputs[0]

    net = evoopt.Network([evoopt.Dense(1)], input_shape=(1,))
    population = np.array([[0.5, 0.0], [2.0, 0.0]])
    for samples in (2, 20):
        found = evoopt.Supervised(net, np.zeros((samples, 1)), np.zeros(samples), loss=picky)(population)
        np.testing.assert_array_equal(found, [0.5, np.nan])


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_loss_that_does_not_compile_is_refused():
    net, row = passing(2)
    for function in (lambda outputs: outputs[0], lambda outputs, target: len(f"{target:.2f}")):
        task = evoopt.Supervised(net, np.zeros((3, 2)), np.zeros(3), loss=numba.njit(function))
        with pytest.raises(ValueError, match="outputs and a target"):
            task(row)
    with pytest.raises(ValueError, match=r"numba\.njit"):
        evoopt.Supervised(net, np.zeros((3, 2)), np.zeros(3), loss=lambda outputs, target: 0.0)


def test_same_bits_for_any_number_of_threads(rng):
    net, row = passing(3)
    population = np.repeat(row, 300, axis=0) + rng.normal(size=(300, 9))
    z, labels = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    threads, found = evoopt.get_num_threads(), []
    try:
        for n in (1, 2, 5):
            evoopt.set_num_threads(n)
            found.append(
                [
                    evoopt.Supervised(net, z, labels, loss=loss)(population)
                    for loss in ("hinge", logit_of_class)
                ]
            )
    finally:
        evoopt.set_num_threads(threads)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("loss", reference.LOSSES)
def test_minibatches_take_their_own_weights(loss, rng):
    samples, size = 23, 5
    net, row = passing(3 if loss != "error_rate" else 2)
    n, meaning = net.output_shape[0], next(meaning for name, meaning in KINDS if name == loss)
    z, targets = rng.normal(size=(samples, n)), draw_targets(meaning, samples, n, rng)
    weights = rng.uniform(0.1, 3, samples)
    weights[[2, 11]] = 0  # 21 samples remain: four batches
    task = evoopt.Supervised(net, z, targets, loss, weights, batch_size=size, seed=3)
    whole = np.flatnonzero(weights)
    for generation in (7, 0, 4, 3):
        order = np.random.default_rng((3, generation // 4)).permutation(len(whole))
        rows = whole[order[generation % 4 * size :][:size]]
        expected = mean_loss(loss, z[rows], targets[rows], weights[rows])
        assert task(row, generation)[0] == pytest.approx(expected, rel=1e-12)


def test_samples_of_no_weight_are_left_out(rng):
    net, row = passing(2)
    z, labels, weights = rng.normal(size=(30, 2)), rng.integers(0, 2, 30), np.arange(30) % 2
    z[weights == 0] = np.nan
    task = evoopt.Supervised(net, z, labels, sample_weight=weights)
    kept = evoopt.Supervised(net, z[weights > 0], labels[weights > 0])
    assert np.array_equal(task(row), kept(row))
    assert task.evaluate(row[0]) == kept.evaluate(row[0])


@pytest.mark.parametrize("factor", [2.0**1022, 2.0**-1070])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_only_the_ratios_of_weights_count(factor, dtype, rng):
    net, row = passing(2)
    z, labels, weights = rng.normal(size=(30, 2)), rng.integers(0, 2, 30), rng.choice([0.0, 0.5, 2, 3], 30)
    found, expected = (
        evoopt.Supervised(net, 1000 * z, labels, "hinge", weights * each) for each in (factor, 1.0)
    )
    assert np.array_equal(found(row.astype(dtype)), expected(row.astype(dtype)))
    assert found.evaluate(row[0]) == expected.evaluate(row[0])


def test_a_mean_of_losses_beyond_float64_is_infinite():
    net, row = passing(1)
    targets, weights = np.zeros(10_000), np.full(10_000, 1e-300)
    targets[::4000], weights[::4000] = 1.3e154, 1.0  # three losses of 1.7e308, each in a chunk of its own
    assert evoopt.Supervised(net, np.zeros((10_000, 1)), targets, "mse", weights)(row).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("loss", "targets", "expected"),
    [
        ("cross_entropy", [0, 1, 1], 2 / 3),
        ("hinge", [0, 1, 1], 2 / 3),
        ("error_rate", [0, 1, 1], 2 / 3),
        ("cross_entropy", [[0.9, 0.1], [0, 1], [0, 1]], 2 / 3),
        ("binary_cross_entropy", [[1, 1], [0, 0], [0, 0]], 4 / 6),
        ("hinge", [[1, 1], [0, 0], [0, 0]], 4 / 6),
    ],
)
def test_accuracy(loss, targets, expected):
    net, row = passing(2)
    task = evoopt.Supervised(net, [[2.0, 1.0], [-1.0, 3.0], [0.5, -0.5]], targets, loss)
    assert task.evaluate(row[0])["accuracy"] == pytest.approx(expected)


def test_accuracy_takes_the_weights_of_the_task():
    net, row = passing(2)
    z, labels = [[2.0, 1.0], [-1.0, 3.0]], [0, 0]
    task = evoopt.Supervised(net, z, labels, sample_weight=[3.0, 1.0])
    assert task.evaluate(row[0])["accuracy"] == 0.75
    assert task.evaluate(row[0], z, labels)["accuracy"] == 0.5


class Fold(Layer):
    """A layer that changes the shape of its input."""

    kind = "fold"

    def output_shape(self, input_shape):
        return (2, input_shape[0] // 2)

    def parameters(self, input_shape):
        return {}

    def operations(self, input_shape, locations):
        return iter(())


def test_outputs_of_several_axes(rng):
    net = evoopt.Network([evoopt.Dense(6), Fold()], input_shape=(4,))
    x, targets, row = rng.normal(size=(20, 4)), rng.uniform(size=(20, 2, 3)), rng.normal(size=net.spec.size)
    outputs = net.predict(row, x)
    assert outputs.shape == (20, 2, 3)
    for loss in ("mse", "mae", "binary_cross_entropy"):
        task = evoopt.Supervised(net, x, targets, loss)
        assert task(row[None])[0] == pytest.approx(mean_loss(loss, outputs, targets))
    for bad in (targets, np.zeros(20, int)):
        with pytest.raises(ValueError, match=r"one axis of outputs.*\(2, 3\)\."):
            evoopt.Supervised(net, x, bad)


X, LABELS = np.zeros((4, 2)), np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("n", "arguments", "options", "parts"),
    [
        (2, (LABELS,), {"sample_weight": [1, 2, 3]}, ["(4,)", "got (3,)"]),
        (2, (LABELS,), {"sample_weight": [1, 2, 3, -1]}, ["at least 0", "got -1 to 3"]),
        (2, (LABELS,), {"sample_weight": [0] * 4}, ["not all 0", "got 0 to 0"]),
        (2, (LABELS,), {"sample_weight": [1, 1, 1, np.nan]}, ["finite", "nan"]),
        (2, (LABELS,), {"sample_weight": "abcd"}, ["sample_weight", "got text"]),
        (2, (LABELS,), {"sample_weight": [1, 1, 0, 0], "batch_size": 3}, ["from 1 to 2", "got 3"]),
        (2, (X + 2, "binary_cross_entropy"), {}, ["from 0 to 1", "got 2 to 2"]),
        (2, (X - 1, "cross_entropy"), {}, ["from 0 to 1", "got -1 to -1"]),
        (2, (X + np.nan, "mse"), {}, ["targets must be finite", "NaN", "sample 0 and in 3 more"]),
        (2, (LABELS, "mse"), {}, ["(4, 2)", "got (4,)"]),
        (2, (X, "error_rate"), {}, ["'error_rate'", "argmax"]),
        (2, (X + 0.5, "hinge"), {}, ["-1 and 1", "got 0.5 to 0.5"]),
        (1, (LABELS + 1, "hinge"), {}, ["0 and 1", "got 1 to 2"]),
        (1, (LABELS,), {}, ["0 to 0", "1 outputs", "got 0 to 1", "binary_cross_entropy"]),
        (2, (LABELS + 2**25, pinball), {}, ["16777216"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(n, arguments, options, parts):
    net = evoopt.Network([evoopt.Dense(n)], input_shape=(2,))
    with pytest.raises(ValueError, match=r"\.$") as error:
        evoopt.Supervised(net, X, *arguments, **options)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("activation", "n", "loss", "part"),
    [
        ("softmax", 2, "cross_entropy", "logits"),
        ("sigmoid", 1, "binary_cross_entropy", "logits"),
        ("sigmoid", 1, "hinge", "sign"),
        ("sigmoid", 1, "error_rate", "sign"),
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_last_activation_that_the_loss_has_is_refused(activation, n, loss, part, hidden):
    after = [evoopt.Reshape((n, 1)), evoopt.Dropout(0.5), evoopt.Flatten()] if hidden else []
    net = evoopt.Network([evoopt.Dense(n, activation), *after], input_shape=(2,))
    with pytest.raises(ValueError, match=part):
        evoopt.Supervised(net, X, LABELS, loss)
    evoopt.Supervised(net, X, np.zeros((4, n)), "mse")


def test_a_last_activation_of_one_of_several_heads_is_refused():
    heads = evoopt.Parallel([evoopt.Dense(1)], [evoopt.Dense(1, "sigmoid")])
    net, targets = evoopt.Network([heads], input_shape=(2,)), np.zeros((4, 2))
    with pytest.raises(ValueError, match="logits"):
        evoopt.Supervised(net, X, targets, "binary_cross_entropy")
    gated = evoopt.Network([evoopt.Parallel(*heads.branches, merge="multiply")], input_shape=(2,))
    evoopt.Supervised(gated, X, targets[:, :1], "binary_cross_entropy")
