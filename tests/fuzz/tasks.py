"""Working calls of tasks and environments."""

import evoopt

from .case import Case

_SETUP = (
    "task = evoopt.{}",
    "population = np.stack([task.net.init(1), task.net.init(2)])",
    "row = population[0]",
)
_STEPS = frozenset({"max_steps"})
_POLICY = ("action = result([0.5])", "assert np.shape(action) == (1,)", "result.reset()")


def _setup(task: str) -> tuple[str, ...]:
    return tuple(line.format(task) for line in _SETUP)


SUPERVISED = _setup("Supervised(NET, INPUTS, LABELS)")
ROLLOUT = _setup("Rollout(ACTOR, ENV, episodes=2, normalize=True)")
GYMNASIUM = _setup("GymnasiumTask('CartPole-v1', NET, max_steps=5)")
_FITNESS = (
    "fitness = result(np.stack([result.net.init(1), result.net.init(2)]))",
    "assert np.shape(fitness) == (2,)",
    "repr(result)",
)
_ENV = {"reset": "reset", "observe": "observe", "step": "step"}
_SIZES = {"state_size": "1", "observation_size": "1", "actions": "(-1, 1)", "uniforms": "1", "max_steps": "9"}
LOSSES = {
    "cross_entropy": "LABELS",
    "binary_cross_entropy": "np.ones((10, 2))",
    "mse": "np.ones((10, 2))",
    "hinge": "LABELS",
    "mae": "np.ones((10, 2))",
    "error_rate": "LABELS",
}
_ENVIRONMENTS = [name for name, value in vars(evoopt.envs).items() if isinstance(value, evoopt.Environment)]
TASKS = [
    *(
        Case(
            "Supervised",
            "evoopt.Supervised",
            {"net": "NET", "inputs": "INPUTS", "targets": targets, "loss": f"'{loss}'"},
            {"sample_weight": "np.ones(10)", "batch_size": "4", "seed": "1", "device": "'cpu'"},
            use=_FITNESS,
        )
        for loss, targets in LOSSES.items()
    ),
    Case(
        "Supervised.__call__",
        "task",
        {"population": "population"},
        {"generation": "3"},
        SUPERVISED,
        ("assert result.shape == (len(population),)",),
    ),
    Case(
        "Supervised.__call__",
        "task",
        {"population": "population"},
        {"generation": "3"},
        _setup("Supervised(NET, INPUTS, LABELS, batch_size=3)"),
        ("assert result.shape == (len(population),)",),
    ),
    Case(
        "Supervised.evaluate",
        "task.evaluate",
        {"params": "row"},
        {"inputs": "INPUTS", "targets": "LABELS"},
        SUPERVISED,
        ("assert result.keys() == {'loss', 'accuracy'}",),
    ),
    Case(
        "Rollout",
        "evoopt.Rollout",
        {"net": "ACTOR", "env": "ENV"},
        {
            "episodes": "2",
            "max_steps": "5",
            "new_episodes": "'row'",
            "normalize": "True",
            "seed": "1",
            "device": "'cpu'",
        },
        use=_FITNESS,
        small=_STEPS,
    ),
    Case("Rollout.__call__", "task", {"population": "population"}, {"generation": "3"}, ROLLOUT),
    Case(
        "Rollout.play",
        "task.play",
        {"population": "population"},
        {"generation": "3"},
        ROLLOUT,
        ("assert result.returns.shape == (len(population), 2)", "result.metrics()"),
    ),
    Case("Rollout.evaluate", "task.evaluate", {"params": "row"}, {"episodes": "3", "seed": "2"}, ROLLOUT),
    Case(
        "Rollout.evaluation",
        "task.evaluation",
        {},
        {"episodes": "3", "seed": "2"},
        ROLLOUT,
        ("result(population)",),
    ),
    Case("Rollout.policy", "task.policy", {"params": "row"}, {}, ROLLOUT, _POLICY),
    Case(
        "Policy.__call__",
        "act",
        {"observation": "[0.5]"},
        {},
        (*ROLLOUT, "act = task.policy(row)"),
        ("act.reset()",),
    ),
    Case("Rollout.state", "task.state", {}, {}, ROLLOUT),
    Case(
        "Rollout.load_state",
        "task.load_state",
        {"state": "task.state()"},
        {},
        (*ROLLOUT, "task(population)"),
        ("task(population)", "assert np.isfinite(task.observation_std).all()"),
    ),
    *(
        Case(f"Rollout.{each}", f"(lambda: task.{each})", {}, {}, ROLLOUT)
        for each in ("learns", "observation_mean", "observation_std")
    ),
    Case(
        "GymnasiumTask",
        "evoopt.GymnasiumTask",
        {"environment": "'CartPole-v1'", "net": "NET"},
        {"episodes": "2", "max_steps": "5", "seed": "1", "env_kwargs": "{}", "new_episodes": "'never'"},
        use=_FITNESS,
        small=_STEPS,
    ),
    Case("GymnasiumTask.__call__", "task", {"population": "population"}, {"generation": "3"}, GYMNASIUM),
    *(
        Case(f"GymnasiumTask.{each}", f"task.{each}", given, {}, GYMNASIUM)
        for each, given in (
            ("policy", {"params": "row"}),
            ("evaluation", {"episodes": "2", "seed": "1"}),
            ("state", {}),
            ("load_state", {"state": "{}"}),
        )
    ),
    *(
        Case(f"GymnasiumTask.{each}", f"(lambda: task.{each})", {}, {}, GYMNASIUM)
        for each in ("learns", "observation_mean", "observation_std")
    ),
    Case(
        "GymnasiumTask.evaluate",
        "task.evaluate",
        {"params": "row"},
        {"episodes": "2", "seed": "2"},
        GYMNASIUM,
    ),
    Case("GymnasiumTask.close", "task.close", {}, {}, GYMNASIUM),
    *(
        Case(
            "Objective",
            "evoopt.Objective",
            {"fun": fun},
            {"args": "()", "vectorized": "False"},
            use=("fitness = result(np.ones((2, 3)))", "assert fitness.shape == (2,)", "repr(result)"),
        )
        for fun in ("sphere", "compiled_sphere")
    ),
    *(
        Case(
            "Objective.__call__",
            f"evoopt.Objective({fun})",
            {"population": "np.ones((2, 3))"},
            {"generation": "3"},
            use=("assert result.shape == (len(population),)",),
        )
        for fun in ("sphere", "compiled_sphere", "judge, (), True")
    ),
    Case(
        "Objective.each",
        "(lambda **given: [*evoopt.Objective(sphere).each(**given)])",
        {"population": "np.ones((2, 3))"},
        {"map_rows": "map"},
    ),
    Case(
        "Environment",
        "evoopt.Environment",
        {**_ENV, **_SIZES},
        {"name": "'line'"},
        use=("result.discrete, result.n_actions, result.low, result.high", "repr(result)"),
    ),
    *(
        Case(f"Environment.{each}", f"(lambda: ENV.{each})")
        for each in ("discrete", "n_actions", "low", "high")
    ),
    *(
        Case(
            f"envs.{each}",
            "evoopt.Rollout",
            {"net": f"net_of(evoopt.envs.{each})", "env": f"evoopt.envs.{each}"},
            {"episodes": "2", "max_steps": "5"},
            use=_FITNESS,
            small=_STEPS,
        )
        for each in _ENVIRONMENTS
    ),
]
