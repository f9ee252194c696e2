"""The settings of a run: a text for each part of the state in which its strategy began."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from evoopt.calls import option_names
from evoopt.strategies.contract.encoding import Encoder
from evoopt.strategies.contract.registry import REGISTRY
from evoopt.strategies.contract.state import State
from evoopt.types import Array

Settings = dict[str, str]  # the texts of parts, by names such as "_run.popsize"
_LONGEST = 40  # letters of a text; longer ones and arrays have a digest instead
_DIGEST = "digest "
_BITS = 22  # of floats that count, so that float32 has some to spare
_OF_THE_SEED = ("seed", "_key", "key")  # the last words of parts that follow from the seed alone
_FIRST = ("n_params", "name")  # parts that others follow from
# options of parts with other names
_OPTIONS = {"name": "strategy", "_box": "bounds", "_first_mean": "mean", "_restart_sigma": "sigma"}


def settings_of(strategy: State) -> Settings:
    """Return the settings for a strategy in this state; equal states have equal settings.

    Floats count to seven digits.
    """
    arrays: dict[str, Array] = {}
    return {".".join(words): text for words, text in _parts((), Encoder(arrays).encode(strategy), arrays)}


def _parts(
    words: tuple[str, ...], node: Any, arrays: Mapping[str, Array]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the parts of an encoded value, and the text of each."""
    kind = next(iter(node)) if isinstance(node, dict) else None
    if kind in ("array", "list", "scalar"):
        yield words, _digest(arrays[node[kind]])
    elif isinstance(node, dict) and "state" in node:
        yield words, _DIGEST + node[kind]
        yield from _parts(words, node["state"], arrays)
    elif kind == "dict":
        for key, item in node["dict"]:
            yield from _parts((*words, str(key)), item, arrays)
    elif isinstance(node, list) or kind in ("tuple", "spec"):
        items = node if isinstance(node, list) else [*node.values()] if kind == "spec" else node["tuple"]
        for i, item in enumerate(items):
            yield from _parts((*words, str(i)), item, arrays)
    else:
        text = str(node[kind]) if kind else f"{node:.7g}" if isinstance(node, float) else repr(node)
        yield words, text if len(text) <= _LONGEST else _digest(text.encode())


def _digest(data: Array | bytes) -> str:
    array = np.ascontiguousarray(np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data)
    if array.dtype.kind == "f":  # another processor may compute a constant with another last bit
        mantissa, exponent = np.frexp(array)
        array = np.ldexp(np.rint(mantissa * 2**_BITS), exponent - _BITS)
    content = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    content.update(array.reshape(-1).view(np.uint8).data)
    return _DIGEST + content.hexdigest()


def difference(strategy: State, found: Settings) -> str | None:
    """Return the words for what a file with these settings has, and the strategy not, or None."""
    here = settings_of(strategy)
    names = [name for name in {**here, **found} if here.get(name) != found.get(name)]
    if _seed_is_drawn(strategy):
        names = [name for name in names if name.rpartition(".")[2] not in _OF_THE_SEED]
    if not names:
        return None
    if "" in names:
        return f"{found[''].removeprefix(_DIGEST)}, not {type(strategy).__name__}"
    if "generation" in names:
        return f"a run from generation {found['generation']} on, and the strategy is at {here['generation']}"
    name = min(names, key=lambda name: _rank(strategy, name, here, found))
    if _is_shown(name, here, found):
        return f"{_option(name)}={found[name]}, not {here[name]}"
    return f"another value of {_option(name)}"


def _is_shown(name: str, *settings: Settings) -> bool:
    """Return whether the texts of a part are values that a user can read."""
    return not any(each.get(name, _DIGEST).startswith(_DIGEST) for each in settings)


def _option(name: str) -> str:
    """Return the name of the option that a part is made of, or its own name."""
    words = [word for word in name.split(".") if word not in ("_run", "_options")]
    first = words[0] if words else name
    return _OPTIONS.get(first, first.removeprefix("_"))


def _rank(strategy: State, name: str, here: Settings, found: Settings) -> tuple[bool, ...]:
    """Return a rank that is least for the part that tells most, such as an option of the user."""
    inner = REGISTRY.get(getattr(strategy, "name", ""), type(strategy))
    is_option = _option(name) in option_names(type(strategy)) | option_names(inner)
    return name not in _FIRST, not is_option, not _is_shown(name, here, found), "." in name


def _seed_is_drawn(strategy: State) -> bool:
    """Return whether the seed of a new strategy is the operating system's, not the user's."""
    made_with = strategy._made_with
    while made_with is not None and isinstance(made_with.get("strategy"), State):  # restarts
        made_with = made_with["strategy"]._made_with
    return made_with is not None and made_with.get("seed") is None
