"""Readers of targets for each loss; the table of losses is `evoopt.rules.losses.LOSSES`."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays
from evoopt.compiling.jit import is_compiled
from evoopt.devices.interface.supervised import Loss, Targets
from evoopt.networks.base import BaseNetwork
from evoopt.networks.dropout import Dropout
from evoopt.networks.merging import Concat
from evoopt.networks.network import Network
from evoopt.networks.shaping import Flatten, Permute, Reshape, Slice
from evoopt.networks.wiring import Node
from evoopt.rules.losses import LOSSES, LossName, Meaning
from evoopt.types import Array, Shape

_HAND_ON = (Concat, Dropout, Flatten, Permute, Reshape, Slice)  # layers that change no number
LARGEST_INTEGER = 2**24  # float32 has all integers up to this one


def check_loss(loss: Loss) -> Loss:
    """Return a loss that is known or compiled; raise ValueError for others."""
    if isinstance(loss, str):
        if loss in LOSSES:
            return loss
    elif is_compiled(loss):
        return loss
    raise ValueError(
        f"loss must be one of {', '.join(LOSSES)}, or a function loss(outputs, target) decorated with "
        f"numba.njit, got {loss!r}."
    )


def read_targets(loss: Loss, targets: ArrayLike, weights: Array, net: BaseNetwork) -> Targets:
    """Read the targets of samples; raise ValueError if they do not fit the loss or the network."""
    numbers, outputs = as_numbers("targets", _without_text(targets)), net.output_shape
    if len(numbers) != len(weights):
        raise ValueError(
            f"targets must have an entry for each of {len(weights)} samples, got {len(numbers)}."
        )
    if not isinstance(loss, str):
        return _read_own(numbers)
    require_finite("targets", numbers, weights)
    meaning = _meaning(loss, numbers, outputs)
    found = Targets(_READERS[meaning](loss, numbers, outputs), meaning)
    _check_last_layer(loss, found, net)
    return found


def _meaning(loss: LossName, numbers: Array, outputs: Shape) -> Meaning:
    """Return the meaning of targets: class numbers by their shape, or the loss's other meaning."""
    others = [meaning for meaning in LOSSES[loss] if meaning != "labels"]
    is_one_side = others == ["signs"] and outputs == (1,)  # one output has no second class
    are_labels = "labels" in LOSSES[loss] and numbers.ndim == 1 and not is_one_side
    return "labels" if are_labels or not others else others[0]


def _read_own(numbers: Array) -> Targets:
    flat = numbers.reshape(len(numbers), -1)
    if numbers.ndim > 1:
        return Targets(flat, "vectors")
    if numbers.dtype.kind == "f":
        return Targets(flat, "numbers")
    if np.abs(numbers.astype(float)).max(initial=0) > LARGEST_INTEGER:
        raise ValueError(f"targets must be whole numbers up to {LARGEST_INTEGER}, got larger ones.")
    return Targets(flat, "integers")


def _read_values(loss: LossName, numbers: Array, outputs: Shape) -> Array:
    samples = len(numbers)
    if numbers.shape != (samples, *outputs) and not (numbers.ndim == 1 and outputs == (1,)):
        hint = f"; class numbers have the shape ({samples},)" if "labels" in LOSSES[loss] else ""
        raise ValueError(
            f"targets must have the shape {(samples, *outputs)} for the loss {loss!r}, got "
            f"{numbers.shape}{hint}."
        )
    return numbers.reshape(samples, math.prod(outputs))


def _read_chances(loss: LossName, numbers: Array, outputs: Shape) -> Array:
    found = _read_values(loss, numbers, outputs)
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(
            f"targets must be probabilities from 0 to 1 for the loss {loss!r}, got {numbers.min():g} to "
            f"{numbers.max():g}."
        )
    return found


def _read_probabilities(loss: LossName, numbers: Array, outputs: Shape) -> Array:
    _require_classes(loss, outputs)
    return _read_chances(loss, numbers, outputs)


def _read_labels(loss: LossName, numbers: Array, outputs: Shape) -> Array:
    _require_classes(loss, outputs)
    if numbers.ndim != 1:
        raise _no_labels(loss, numbers)
    return _check_labels(numbers, outputs[0])[:, None]


def _no_labels(loss: LossName, numbers: Array) -> ValueError:
    return ValueError(
        f"targets must be class numbers of shape ({len(numbers)},) for the loss {loss!r}, got "
        f"{numbers.shape}; take targets.argmax(axis=1)."
    )


def _require_classes(loss: LossName, outputs: Shape) -> None:
    if len(outputs) != 1:
        raise ValueError(
            f"The loss {loss!r} takes one axis of outputs, one for each class, got a network with "
            f"outputs {outputs}."
        )


def _read_signs(loss: LossName, numbers: Array, outputs: Shape) -> Array:
    found = _read_values(loss, numbers, outputs)
    if outputs != (1,) and loss == "error_rate":
        raise _no_labels(loss, numbers)
    values = np.unique(numbers)
    if not (np.isin(values, (0, 1)).all() or np.isin(values, (-1, 1)).all()):
        raise ValueError(
            f"targets must be -1 and 1, or 0 and 1, for the loss {loss!r}, got {values[0]:g} to "
            f"{values[-1]:g}."
        )
    return np.where(found > 0, 1, -1)


_READERS: dict[Meaning, Callable[[LossName, Array, Shape], Array]] = {
    "labels": _read_labels,
    "probabilities": _read_probabilities,
    "chances": _read_chances,
    "values": _read_values,
    "signs": _read_signs,
}


def classes_of(targets: Targets) -> Targets | None:
    """Return the targets of the error rate, 1 - accuracy; None if there are no classes."""
    if targets.meaning in {"labels", "signs"}:
        return targets
    if targets.meaning == "probabilities":
        return Targets(targets.numbers.argmax(axis=1)[:, None], "labels")
    if targets.meaning == "chances":
        return Targets(np.where(targets.numbers > 0.5, 1, -1), "signs")
    return None


def _check_labels(labels: Array, classes: int) -> Array:
    if labels.dtype.kind not in "iub":
        raise ValueError(
            f"Class numbers must have an integer dtype, got {labels.dtype}; take targets.astype(int)."
        )
    if not (labels.min() >= 0 and labels.max() < classes):
        hint = "; for one output there is binary_cross_entropy" if classes == 1 else ""
        raise ValueError(
            f"Class numbers must be from 0 to {classes - 1} for {classes} outputs, got {labels.min()} to "
            f"{labels.max()}{hint}."
        )
    return labels


def _check_last_layer(loss: LossName, targets: Targets, net: BaseNetwork) -> None:
    """Refuse a last activation that the loss contains, or that hides the sign that it needs."""
    for activation in _last_activations(net.nodes) if isinstance(net, Network) else ():
        if loss == "cross_entropy" and activation == "softmax":
            problem = "takes logits and has a softmax in it, and so has the last layer"
        elif loss == "binary_cross_entropy" and activation == "sigmoid":
            problem = "takes logits and has a sigmoid in it, and so has the last layer"
        elif targets.meaning == "signs" and activation in {"sigmoid", "softmax", "log_softmax"}:
            problem = f"looks at the sign of an output, but after a {activation} all have the same"
        else:
            continue
        raise ValueError(f'The loss "{loss}" {problem}; give that layer the activation "linear".')


def _last_activations(nodes: Sequence[Node]) -> Iterator[object]:
    """Return the activations whose results are outputs, also of several heads."""
    outputs = {len(nodes)}  # numbers of values
    for number in range(len(nodes), 0, -1):
        node = nodes[number - 1]
        if number in outputs and isinstance(node.layer, _HAND_ON):
            outputs.update(node.sources)
        elif number in outputs:
            yield getattr(node.layer, "activation", None)


def _without_text(targets: ArrayLike) -> Array:
    """Return targets as an array; raise ValueError for text, which has to become class numbers."""
    found = arrays.unmasked("targets", targets)
    items = found.ravel().tolist() if found.dtype.kind in "USTO" else []
    text = next((item for item in items if isinstance(item, str | bytes)), None)
    if text is not None:
        raise ValueError(
            f"targets must be numbers, got text such as {text!r}; number the classes by "
            "classes, targets = numpy.unique(labels, return_inverse=True)."
        )
    return found


def require_finite(name: str, numbers: Array, weights: Array) -> None:
    """Raise ValueError if a sample of a positive weight has NaN or infinity."""
    wrong = ~np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1) & (weights > 0)
    if wrong.any():
        more = f" and in {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in sample {wrong.argmax()}{more}; leave such "
            "samples out, or give them a weight of 0."
        )


def as_numbers(name: str, values: ArrayLike) -> Array:
    """Read an array of numbers with an axis of samples."""
    array = arrays.read(name, values)
    if not array.ndim:
        raise ValueError(f"{name} must be an array with an axis of samples, got one number.")
    return array
