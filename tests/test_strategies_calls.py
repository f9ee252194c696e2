"""Errors for wrong calls: sentences that name the called class and the likely intention."""

import re

import numpy as np
import pytest
from helpers.strategies import OURS, REGISTERED, each_and_its_restarts, make, restarted, run

import evoopt
from evoopt import CMAES, IPOP
from evoopt.calls import option_names
from evoopt.strategies.parts.restarts import Restarts

each_registered = pytest.mark.parametrize("cls", REGISTERED.values(), ids=REGISTERED)


def by_place(cls):
    return (CMAES([0.0] * 3, 0.5),) if issubclass(cls, Restarts) else ([0.0] * 3, 0.5)


@pytest.mark.parametrize("cls", OURS.values(), ids=OURS)
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("population_size", "popsize"),
        ("popsiz", "popsize"),
        ("sigma0", "sigma"),
        ("max_evals", "max_evaluations"),
    ],
)
def test_an_unknown_option_names_the_class_and_the_nearest(cls, wrong, meant, complete):
    with pytest.raises(
        TypeError, match=rf"^.*\b{cls.__name__} must .* got.*did you mean {meant} instead of {wrong}\?"
    ):
        cls(*(by_place(cls) if complete else ()), **{wrong: 10})


def test_an_option_that_was_renamed_names_the_new_one():
    with pytest.raises(TypeError, match=r"did you mean momentum instead of beta_1\?$"):
        evoopt.OpenAIES([0.0], 1.0, beta_1=0.5)


@pytest.mark.parametrize("cls", OURS.values(), ids=OURS)
def test_an_option_like_no_other_has_no_suggestion(cls):
    with pytest.raises(TypeError, match=rf"^Options of {cls.__name__} must be among .*popsize.*, got xyz\.$"):
        cls(*by_place(cls), xyz=1)


@each_registered
def test_a_call_that_lacks_something_shows_the_form(cls):
    restarts = issubclass(cls, Restarts)
    form, options = ("evoopt.CMAES(mean, sigma)", {"max_restarts": 2}) if restarts else ("mean, sigma", {})
    start = f"{cls.__name__} must be called as {cls.__name__}({form}, ...), got: "
    for arguments, what in (
        (by_place(cls)[:-1], f"missing a required argument: '{'strategy' if restarts else 'sigma'}'"),
        ((*by_place(cls), 10), "too many positional arguments"),
    ):
        with pytest.raises(TypeError, match=re.escape(start + what)):
            cls(*arguments, **options)


@pytest.mark.parametrize("kind", [IPOP, evoopt.BIPOP])
def test_an_option_of_restarts_that_is_unknown(kind):
    with pytest.raises(TypeError, match=rf"{kind.__name__} must .*did you mean max_restarts"):
        kind(CMAES([0.0] * 5, 0.5), max_restart=3)


def test_constructors_of_ones_own_stay_as_they_are():
    class Mine(evoopt.Strategy):
        def __init__(self, n, *, rate=0.5, **options):
            self.rate = options.pop("my_rate", rate)
            super().__init__(np.zeros(n), 1.0, **options)

        def _update(self, told):
            pass

    assert Mine(3, my_rate=2.0, popsize=5).rate == 2.0
    with pytest.raises(TypeError, match=r"Options of Mine .*rate.*did you mean popsize instead of popsiz"):
        Mine(3, popsiz=5)
    with pytest.raises(TypeError, match="Mine must be called as"):
        Mine(rate=1)
    assert {"n", "rate", "popsize"} <= option_names(Mine)

    class Closed(evoopt.SNES):
        def __init__(self, n, **options):
            evoopt.Strategy.__init__(self, np.zeros(n), 1.0, **options)

    with pytest.raises(TypeError, match=r"Options of Closed must be among .*, got eta_mean"):
        Closed(3, eta_mean=1.0)


@each_registered
def test_each_option_is_documented(cls):
    own = option_names(cls) - (option_names(evoopt.Strategy) if cls is not evoopt.Strategy else set())
    for name in own - {"strategy"}:
        assert re.search(rf"\b{name}\b", cls.__doc__), name
    if cls is CMAES:
        assert re.search(r"\n *maxiter : .*\n +.*after so many updates", cls.__doc__)


# ---------------------------------------------------------------- odd numbers of rows in pairs


@pytest.mark.parametrize("cls", [evoopt.OpenAIES, evoopt.PGPE])
def test_an_odd_popsize_of_pairs_is_refused(cls):
    message = f"popsize of {cls.__name__} must be a multiple of 2, .*, got 7; take 8"
    for call in (
        lambda: cls([0.0] * 3, 0.5, popsize=7),
        lambda: IPOP(cls([0.0] * 3, 0.5, popsize=7)),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert len(cls([0.0] * 3, 0.5, popsize=8).ask_ids(7)) == 7


@pytest.mark.parametrize("cls", [evoopt.OpenAIES, evoopt.PGPE])
def test_restarts_of_pairs_take_even_ones(cls):
    es = restarted(evoopt.BIPOP, cls, [0.0] * 3, 0.5, popsize=10, tolfun=1e9, seed=1)
    sizes = {es.popsize}
    while es.restarts < 12:
        run(es, 1)
        sizes.add(es.popsize)
    assert len(sizes) > 5
    assert not any(size % 2 for size in sizes)


# ---------------------------------------------------------------- places to save to


@each_and_its_restarts
def test_a_folder_that_is_missing_is_named(cls, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^The folder of \".*nofolder/x\.npz\" must exist, got \".*nofolder\""
    ):
        make(cls).save(tmp_path / "nofolder" / "x.npz")
    assert not list(tmp_path.iterdir())


def test_parameters_say_so_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'The folder of "nofolder/x\.npz" must exist'):
        evoopt.save_params("nofolder/x.npz", {"a": np.zeros(2)})


def test_no_error_names_a_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match='folder" is a folder; take another name') as caught:
        make(CMAES).save(tmp_path / "folder")
    assert ".tmp" not in str(caught.value)


@pytest.mark.parametrize("cls", OURS.values(), ids=OURS)
@pytest.mark.parametrize("name", ["noisy", "maximize"])
@pytest.mark.parametrize("wrong", ["no", 2, None, [True]])
def test_flags_are_true_or_false(cls, name, wrong):
    with pytest.raises(ValueError, match=f"^{name} must be True or False, got"):
        cls(*by_place(cls), **{name: wrong})


@pytest.mark.parametrize("wrong", ["mine", None, 3])
def test_register_decorates_a_class(wrong):
    with pytest.raises(
        ValueError, match=r"^register must decorate a class, .* got .*@evoopt\.register above"
    ):
        evoopt.register(wrong)


@pytest.mark.parametrize("name", ["_mean", "_sigma"])
@pytest.mark.parametrize(
    "value", [np.ones(1), np.float64(1), 1.0, [1.0, 1.0], None, np.ones((2, 2))], ids=repr
)
def test_an_update_leaves_a_number_for_each_coordinate(name, value):
    class Careless(evoopt.Strategy):
        def _update(self, told):
            setattr(self, name, value)

    es = Careless([1.0, 2.0], 0.5, popsize=4, seed=1)
    population = es.ask()
    with pytest.raises(ValueError, match=r"^_update of Careless must leave _mean and _sigma .* \(2,\), got"):
        es.tell(population, range(4))
    assert es.generation == 0
    assert (es.mean == [1, 2]).all()
