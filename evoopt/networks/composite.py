"""Layers that have layers in them: residual blocks, parallel branches, parts of inputs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.networks.activations import ActivationLike, read_activation
from evoopt.networks.checks import as_layers, as_shape, check_name
from evoopt.networks.layers import Layer, NamedLayer
from evoopt.networks.merging import MERGES, Add
from evoopt.networks.shaping import Reshape, Slice
from evoopt.networks.wiring import Composite, Wiring, join
from evoopt.types import Shape

MergeName = Literal["concat", "add", "multiply"]


@dataclass(frozen=True)
class Residual(NamedLayer, Composite):
    """A residual block (He et al. 2016, https://arxiv.org/abs/1512.03385).

    ``activation(layers(inputs) + inputs)``; with a shortcut ``activation(layers(inputs) +
    shortcut(inputs))``.

    Parameters
    ----------
    layers : sequence of Layer
        In order; their output has the shape of the shortcut's.
    shortcut : sequence of Layer
        By default none: the inputs are added as they are.
    activation : str, tuple or njit function
        As for `Dense`.

    Raises
    ------
    ValueError
        For layers that are none, or whose output has another shape than the shortcut's.

    Examples
    --------
    >>> import evoopt
    >>> block = evoopt.Residual([evoopt.Dense(8, "relu"), evoopt.Dense(4)], activation="relu")
    >>> evoopt.Network([block], input_shape=(4,)).spec.names[:2]
    ('residual_0.dense_0.bias', 'residual_0.dense_0.kernel')
    """

    layers: Sequence[Layer]
    shortcut: Sequence[Layer] = ()
    activation: ActivationLike = "linear"

    kind: ClassVar[str] = "residual"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", as_layers(self.layers))
        object.__setattr__(self, "shortcut", as_layers(self.shortcut, "shortcut", least=0))
        object.__setattr__(self, "activation", read_activation(self.activation))

    def wire(self, wiring: Wiring, name: str, source: int) -> int:
        value = wiring.chain(self.layers, source, name)
        shortcut = wiring.chain(self.shortcut, source, join(name, "shortcut"))
        return wiring.put(join(name, "add"), Add(self.activation), (value, shortcut))


@dataclass(frozen=True)
class _Branches(NamedLayer, Composite):
    merge: MergeName = field(default="concat", kw_only=True)

    def _merge(self, wiring: Wiring, name: str, branches: Mapping[str, int]) -> int:
        """Merge the values of named branches, at least two of them."""
        if self.merge == "concat":
            return wiring.concatenate(join(name, "concat"), branches)
        return wiring.put(join(name, self.merge), MERGES[self.merge](), tuple(branches.values()))


@dataclass(frozen=True, init=False)
class Parallel(_Branches):
    """Branches of the same inputs, whose outputs are merged: two heads, for example.

    Parameters
    ----------
    *branches : sequence of Layer
        At least two, each in order. An empty one hands on the inputs.
    merge : {"concat", "add", "multiply"}
        "concat" joins the outputs along their last axis; they may differ in it alone. "add" and
        "multiply" take outputs of one shape.
    names : sequence of str, optional
        A name for each branch, by default "0", "1", ... If the layer is the network's last and
        concatenates, `Network.heads` has them.

    Raises
    ------
    ValueError
        For fewer than two branches, an unknown `merge`, names that are not one for each branch, or
        outputs that cannot be merged.

    Examples
    --------
    >>> import evoopt
    >>> heads = evoopt.Parallel(
    ...     [evoopt.Dense(4)], [evoopt.Dense(8, "tanh"), evoopt.Dense(1)], names=("policy", "value")
    ... )
    >>> net = evoopt.Network([evoopt.Dense(16, "tanh"), heads], input_shape=(3,))
    >>> net.heads
    {'policy': slice(0, 4, None), 'value': slice(4, 5, None)}
    >>> net.output_shape
    (5,)
    """

    branches: tuple[tuple[Layer, ...], ...]
    names: tuple[str, ...]

    kind: ClassVar[str] = "parallel"
    _usage = "[layer, ...], [layer, ...]"

    def __init__(
        self,
        *branches: Sequence[Layer],
        merge: MergeName = "concat",
        names: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        if len(branches) < 2:
            raise ValueError(f"Parallel must have at least two branches, got {len(branches)}.")
        found = map(str, range(len(branches))) if names is None else arguments.items(names)
        values = {
            "branches": tuple(as_layers(branch, "a branch", least=0) for branch in branches),
            "names": tuple(map(check_name, found)),
            "merge": arguments.one_of("merge", merge, get_args(MergeName)),
            "name": name,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        if len({*self.names}) != len(branches) or len(self.names) != len(branches):
            raise ValueError(
                f"names must be {len(branches)} different names, one for each branch, got {shown(names)}."
            )

    def wire(self, wiring: Wiring, name: str, source: int) -> int:
        branches = zip(self.names, self.branches, strict=True)
        values = {own: wiring.chain(layers, source, join(name, own)) for own, layers in branches}
        return self._merge(wiring, name, values)


@dataclass(frozen=True)
class Split(_Branches):
    """Named parts of a flat input, each with layers of its own, whose outputs are merged.

    So a network takes an image and a vector: a sample has the numbers of the image, row-major, and
    then the numbers of the vector.

    Parameters
    ----------
    parts : mapping of str to (shape, layers)
        In the order of the input. A part is reshaped to its `shape`, and goes through its layers,
        of which there may be none.
    merge : {"concat", "add", "multiply"}
        As for `Parallel`.

    Raises
    ------
    ValueError
        For fewer than two parts, inputs that are not flat or of another size than the parts
        together, or outputs that cannot be merged.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> see = [evoopt.Conv2D(4, 3, activation="relu"), evoopt.Flatten()]
    >>> split = evoopt.Split({"image": ((8, 8, 3), see), "speed": ((2,), [])})
    >>> net = evoopt.Network([split, evoopt.Dense(5)], input_shape=(8 * 8 * 3 + 2,))
    >>> image, speed = np.zeros((10, 8, 8, 3)), np.ones((10, 2))
    >>> samples = np.concatenate([image.reshape(10, -1), speed], axis=1)
    >>> net.predict(net.init(seed=0), samples).shape
    (10, 5)
    """

    parts: Mapping[str, tuple[Sequence[int], Sequence[Layer]]]

    kind: ClassVar[str] = "split"

    def __post_init__(self) -> None:
        parts = arguments.mapping("parts", self.parts)
        if len(parts) < 2:
            raise ValueError(f"Split must have at least two parts, got {len(parts)}.")
        found = {check_name(name): _as_part(name, part) for name, part in parts.items()}
        object.__setattr__(self, "parts", found)
        arguments.one_of("merge", self.merge, get_args(MergeName))

    def wire(self, wiring: Wiring, name: str, source: int) -> int:
        shape, sizes = wiring.shape(source), {own: math.prod(part[0]) for own, part in self.parts.items()}
        if shape != (sum(sizes.values()),):
            raise ValueError(
                f"Split takes samples of shape ({sum(sizes.values())},), its parts one after the other, got "
                f"{shape}."
            )
        values, start = {}, 0
        for own, (part, layers) in self.parts.items():
            cut = [Slice(start, start + sizes[own]), Reshape(part)]
            values[own] = wiring.chain([*cut, *layers], source, join(name, own))
            start += sizes[own]
        return self._merge(wiring, name, values)


def _as_part(name: str, part: object) -> tuple[Shape, tuple[Layer, ...]]:
    """Read a part of a flat input: its shape and its layers."""
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise ValueError(
            f"The part {name!r} of Split must be a shape and a list of layers such as ((8, 8, 3), "
            f"[evoopt.Flatten()]), got {shown(part)}."
        )
    shape, layers = part
    return as_shape(f"shape of the part {name!r}", shape), as_layers(
        layers, f"the layers of the part {name!r}", least=0
    )
