"""Makers of Gymnasium environments, which refuse any that a task cannot use."""

import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.tasks.spaces import described

_made: dict[int, "weakref.ref[Any]"] = {}  # the living innermost environments of this process, by id()


@dataclass(frozen=True)
class Maker:
    """A function that makes a new environment each time, in any process, or raises ValueError."""

    make: Callable[[], Any]

    def __call__(self) -> Any:
        environment = self.make()
        _refuse_normalizing(environment)
        _require_environment(environment)
        _require_new(environment)
        return environment


def maker_of(environment: object, keywords: Mapping[str, Any] | None) -> Maker:
    """Make the `Maker` of an id, an EnvSpec or a function, and of its keyword arguments."""
    try:
        import gymnasium  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ImportError(
            "GymnasiumTask needs the package gymnasium, which is not installed: pip install evoopt[gymnasium]"
        ) from error
    keywords = arguments.mapping("env_kwargs", {} if keywords is None else keywords)
    for key in keywords:
        if not isinstance(key, str):
            raise ValueError(f"The keys of env_kwargs must be names of parameters, got {shown(key)}.")
    if callable(environment):
        return Maker(partial(environment, **keywords))
    if isinstance(environment, str):  # other processes may not have registered it
        environment = gymnasium.registry.get(environment, environment)
    elif not isinstance(environment, gymnasium.envs.registration.EnvSpec):
        made = isinstance(environment, gymnasium.Env | gymnasium.vector.VectorEnv)
        advice = "; the task needs several environments, not one that is already made" if made else ""
        raise ValueError(
            "environment must be an id of Gymnasium, an EnvSpec, or a function that makes an environment, "
            f"got {environment!r}{advice}."
        )
    # Gymnasium's checker is for the authors of environments
    return Maker(partial(_make_registered, environment, {"disable_env_checker": True, **keywords}))


def _make_registered(specification: Any, keywords: dict[str, Any]) -> Any:
    import gymnasium  # noqa: PLC0415  (an optional extra)

    try:
        return gymnasium.make(specification, **keywords)
    except gymnasium.error.DependencyNotInstalled as error:
        name = getattr(specification, "id", specification)
        raise ImportError(
            f"The environment {name} needs another package. {str(error).rstrip('.')}."
        ) from error
    except gymnasium.error.Error as error:
        raise ValueError(
            f"environment must be one that gymnasium.make knows, got {shown(specification)}. "
            f"{str(error).rstrip('.')}."
        ) from error


def layers_of(environment: object) -> list[Any]:
    """Return an environment, the one that it wraps, and so on to the innermost one."""
    import gymnasium  # noqa: PLC0415  (an optional extra)

    kinds = gymnasium.Env, gymnasium.vector.VectorEnv
    layers: dict[int, Any] = {}
    while isinstance(environment, kinds) and id(environment) not in layers:
        layers[id(environment)] = environment
        environment = getattr(environment, "env", None)
    return list(layers.values())


def about(environment: Any) -> str:
    """Return the name of an environment and its spaces, for errors."""
    observations, actions = environment.observation_space, environment.action_space
    return f"{name_of(environment)} (observations {described(observations)}, actions {described(actions)})"


def name_of(environment: object) -> str:
    """Return the id of an environment, or the class of the innermost one."""
    specification = getattr(environment, "spec", None)
    return str(getattr(specification, "id", type(layers_of(environment)[-1]).__name__))


def run_checker(environment: Any) -> None:
    """Raise ValueError for an environment that Gymnasium's checker refuses."""
    from gymnasium.utils.env_checker import check_env  # noqa: PLC0415  (an optional extra)

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"(?s).*different from the unwrapped")  # wrappers are welcome
            check_env(environment, skip_render_check=True, skip_close_check=True)
    except Warning:  # a filter made a warning an error
        raise
    except Exception as error:  # assertions, or whatever the environment raises
        raise ValueError(
            f"The environment {about(environment)} must pass Gymnasium's check_env, which raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _require_environment(environment: object) -> None:
    """Raise ValueError for anything but one Gymnasium environment with its two spaces."""
    import gymnasium  # noqa: PLC0415  (an optional extra)

    if isinstance(environment, gymnasium.vector.VectorEnv):
        raise ValueError(
            f"The environment must be a single one, got the vector environment {environment}; pass a "
            "function that makes one of them, and the task makes as many as it needs."
        )
    if not isinstance(environment, gymnasium.Env):
        raise ValueError(
            f"The environment must be a gymnasium.Env, got a {type(environment).__name__}; derive its class "
            "from gymnasium.Env, or convert an environment of OpenAI Gym by the package shimmy."
        )
    for name in ("observation_space", "action_space"):
        space = getattr(environment, name, None)
        if not isinstance(space, gymnasium.Space):
            raise ValueError(
                f"The {name} of {name_of(environment)} must be a space of gymnasium.spaces, got {space!r}; "
                "set it in the environment's __init__."
            )


def _refuse_normalizing(environment: object) -> None:
    """Raise ValueError for wrappers that learn, because each copy would learn something else."""
    from gymnasium import wrappers  # noqa: PLC0415  (an optional extra)

    of_observations = wrappers.NormalizeObservation, wrappers.vector.NormalizeObservation
    of_rewards = wrappers.NormalizeReward, wrappers.vector.NormalizeReward
    for layer in layers_of(environment):
        if isinstance(layer, of_observations) and layer.update_running_mean:
            remedy = "leave it out, and take GymnasiumTask(normalize=True)"
        elif isinstance(layer, of_rewards) and layer.update_running_mean:
            remedy = (
                "leave it out: strategies rank the fitness, so that its scale does not matter; a constant "
                "scale is gymnasium.wrappers.TransformReward. For observations take "
                "GymnasiumTask(normalize=True)"
            )
        else:
            continue
        raise ValueError(
            f"The environment {about(environment)} must not learn, but each copy of the wrapper "
            f"{type(layer).__name__} learns something else; {remedy}."
        )


def _require_new(environment: object) -> None:
    """Raise ValueError if the innermost environment was returned before, and still lives."""
    innermost = layers_of(environment)[-1]
    key = id(innermost)
    reference = weakref.ref(innermost, lambda _: _made.pop(key, None))
    if _made.setdefault(key, reference) is not reference:
        raise ValueError(
            f"The function must make a new environment each time, got one of {about(environment)} that it "
            "has returned before, which would play several episodes at once; make it inside the function: "
            "lambda: gymnasium.make(...), not lambda: environment."
        )
