"""Functions that reduce axes: means, sums and maxima."""

import math
from collections.abc import Callable
from typing import Any

from evoopt.interop.torch.recording.arguments import as_axes, as_sizes, require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import Unknown, Value
from evoopt.interop.torch.recording.windows import average_pool, max_pool
from evoopt.networks.normalization import Rescaling
from evoopt.networks.pooling import GlobalAvgPool, MaxPool1D

Function = Callable[..., Any]
Pool = Callable[[GraphBuilder, Value, list[int], bool], Value]


def _dims(x: Value, dim: Any) -> list[int]:
    require(dim is not None, "it works along the batch; pass dim=")
    return as_axes(x, dim)


def _averaged(graph: GraphBuilder, x: Value, axes: list[int], keepdim: bool) -> Value:
    return _reduced(graph, x, axes, keepdim, _average)


def _average(graph: GraphBuilder, node: str, places: int, channels: int) -> str:
    one_axis = len(graph.shape(node)) == 1 or graph.shape(node)[-1] != channels
    return graph.put(GlobalAvgPool(), graph.shaped(node, (places, channels)) if one_axis else node)


def _maximum(graph: GraphBuilder, node: str, places: int, channels: int) -> str:
    return graph.put(MaxPool1D(places), graph.shaped(node, (places, channels)))


def _reduced(
    graph: GraphBuilder,
    x: Value,
    axes: list[int],
    keepdim: bool,
    pool: Callable[[GraphBuilder, str, int, int], str],
) -> Value:
    """Record a reduction of axes, for which the others are the channels."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    if x.order is not None:
        kept.sort(key=x.axes.__getitem__)
    node = graph.laid(x, x.last(*kept))
    sizes = [math.prod(x.shape[axis] for axis in some) for some in (axes, kept)]
    node = pool(graph, node, *sizes)
    order = tuple(sorted(kept).index(axis) for axis in kept)
    value = Value.ordered(node, order, tuple(x.shape[axis] for axis in sorted(kept)))
    if not keepdim:
        return value
    return value.reshaped(tuple(1 if axis in axes else n for axis, n in enumerate(x.shape)))


def _mean(
    graph: GraphBuilder, x: Value, dim: Any = None, keepdim: bool = False, dtype: object = None
) -> Value:
    return _averaged(graph, x, _dims(x, dim), keepdim)


def _sum(graph: GraphBuilder, x: Value, dim: Any = None, keepdim: bool = False, dtype: object = None) -> Value:
    axes = _dims(x, dim)
    places = math.prod(x.shape[axis] for axis in axes)
    return graph.apply(Rescaling(places), _averaged(graph, x, axes, keepdim))


def _amax(graph: GraphBuilder, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    return _reduced(graph, x, _dims(x, dim), keepdim, _maximum)


def _max(
    graph: GraphBuilder, x: Value, dim: Any = None, keepdim: bool = False
) -> tuple[Value, Unknown]:
    require(isinstance(dim, int), "it must have a dim=, a whole number")
    return _amax(graph, x, dim, keepdim), Unknown("a network does not return the places of maxima")


def _adaptive(axes: int, whole: Pool, part: Function) -> Function:
    """Return the function that records adaptive pooling: of windows that divide the axes, or whole."""

    def record(graph: GraphBuilder, x: Value, output_size: Any, return_indices: bool = False) -> Value:
        require(len(x.shape) == axes + 1 and not return_indices, "it must have a batch, and return no indices")
        sizes = x.shape[1:]
        given = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * axes
        targets = tuple(n if size is None else int(size) for n, size in zip(sizes, given, strict=True))
        if targets == (1,) * axes:
            return whole(graph, x, [*range(1, axes + 1)], True)
        if any(n % size for n, size in zip(sizes, targets, strict=True)):
            raise UnsupportedError(f"output_size {targets} must divide the sizes {sizes}, or be 1")
        windows = tuple(n // size for n, size in zip(sizes, targets, strict=True))
        found: Value = part(axes)(graph, x, as_sizes(windows, axes))
        return found

    return record


def _whole_maximum(graph: GraphBuilder, x: Value, axes: list[int], keepdim: bool) -> Value:
    return _reduced(graph, x, axes, keepdim, _maximum)


FUNCTIONS: dict[str, Function] = {
    "mean": _mean,
    "sum": _sum,
    "amax": _amax,
    "max": _max,
    **{f"adaptive_avg_pool{n}d": _adaptive(n, _averaged, average_pool) for n in (1, 2)},
    **{f"adaptive_max_pool{n}d": _adaptive(n, _whole_maximum, max_pool) for n in (1, 2)},
}
