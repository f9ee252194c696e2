"""More rows, samples or episodes than blocks of a grid: several launches with the same bits."""

import numpy as np
import pytest

import evoopt
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.stream import Stream


def forward(rng, net, batch, own):
    rows = rng.normal(size=(5, net.spec.size)).astype(np.float32)
    inputs = rng.normal(size=(5, batch, 3) if own else (batch, 3))
    return lambda: net.forward(rows, inputs)


def supervised(rng, net):
    task = evoopt.Supervised(net, rng.normal(size=(40, 3)), np.arange(40) % 2)
    rows = rng.normal(size=(5, net.spec.size)).astype(np.float32)
    return lambda: task(rows)


def rollout(rng, env, new_episodes, normalize):
    net = evoopt.Network([evoopt.Dense(env.n_actions, "tanh")], input_shape=(env.observation_size,))

    def play():
        task = evoopt.Rollout(
            net, env, episodes=19, max_steps=3, new_episodes=new_episodes, normalize=normalize, device="cuda"
        )
        fitness = task(rows)
        return np.asarray(fitness), *(task.state().values() if normalize else ())

    rows = rng.normal(size=(5, net.spec.size)).astype(np.float32)
    return play


def search():
    """Return mean and rows after noise, fingerprints, and the lengths of foreign rows."""
    es = evoopt.SepCMAES(np.ones(3, np.float32), 0.5, popsize=6, seed=1, device="cuda")
    rows = es.ask()
    es.tell(rows, (np.asarray(rows) ** 2).sum(axis=1))
    es.tell(np.full((3, 3), 0.25, np.float32), np.arange(3.0))
    return es.mean, np.asarray(es.ask())


NETWORK = {"layers": [evoopt.Dense(4, "tanh"), evoopt.Dense(2)], "input_shape": (3,)}
WORK = {
    "own samples": lambda rng: forward(rng, evoopt.Network(**NETWORK, device="cuda"), 19, True),
    "one sample": lambda rng: forward(rng, evoopt.Network(**NETWORK, device="cuda"), 1, False),
    "tiles": lambda rng: forward(rng, evoopt.Network(**NETWORK, device="cuda"), 40, False),
    "loss": lambda rng: supervised(rng, evoopt.Network(**NETWORK, device="cuda")),
    "episodes": lambda rng: rollout(rng, evoopt.envs.pendulum, "generation", False),
    "episodes of each row": lambda rng: rollout(rng, evoopt.envs.cartpole, "row", False),
    "observations": lambda rng: rollout(rng, evoopt.envs.pendulum, "generation", True),
    "rows": lambda _: search,
}


@pytest.mark.parametrize("name", WORK)
def test_parts_have_the_bits_of_one_launch(name, rng, monkeypatch):
    work, launches, found, launch = WORK[name](rng), [], [], Stream.launch
    work()  # allocates the memory that is kept

    def counted(*args, **options):
        launches[-1] += 1
        launch(*args, **options)

    monkeypatch.setattr(Stream, "launch", counted)
    for x, y in ((2**31 - 1, 65535), (3, 65535), (2, 1)):
        monkeypatch.setattr(grid, "MOST_X", x)
        monkeypatch.setattr(grid, "MOST_Y", y)
        launches.append(0)
        found.append(work())
    for other in found[1:]:
        for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (found[0], other)), strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert launches[0] < launches[1] <= launches[2]


def test_parts_are_all_of_it_once():
    for rows, columns, per_block in ((1, 1, 1), (5, 19, 8), (7, 3, 2), (0, 4, 1)):
        for x, y in ((2, 2), (1, 1), (100, 100)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(grid, "MOST_X", x)
                patch.setattr(grid, "MOST_Y", y)
                seen = np.zeros((rows, columns))
                for part in grid.parts_of(rows, columns, per_block):
                    assert part.rows <= x
                    assert part.columns <= y * per_block
                    seen[part.row :][: part.rows, part.column :][:, : part.columns] += 1
                assert (seen == 1).all()


@pytest.mark.parametrize(
    ("items", "blocks"), [(8, (2, 1)), (9, (3, 1)), ((9, 5), (3, 3)), ((0, 1), (0, 1)), ((4, 50), (1, 7))]
)
def test_a_launch_has_the_blocks_that_its_items_need(items, blocks):
    """Blocks along y are limited; the kernels then loop over several rows."""
    assert grid.blocks_for(items, per_block=(4, 2), most_y=7) == blocks
