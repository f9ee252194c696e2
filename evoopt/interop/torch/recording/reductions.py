"""Functions that reduce axes: means, sums and maxima."""

import math
from collections.abc import Callable

from evoopt.interop.torch.recording.arguments import as_axes, require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.values import Unknown, Value
from evoopt.interop.torch.recording.windows import average_pool, max_pool
from evoopt.interop.torch.types import Function, Sizes
from evoopt.networks.normalization import Rescaling
from evoopt.networks.pooling import GlobalAvgPool, MaxPool1D

Pool = Callable[[GraphBuilder, str, int, int], str]


def _average(graph: GraphBuilder, node: str, places: int, channels: int) -> str:
    shape = graph.shape(node)
    whole = len(shape) > 1 and shape[-1] == channels
    return graph.put(GlobalAvgPool(), node if whole else graph.shaped(node, (places, channels)))


def _maximum(graph: GraphBuilder, node: str, places: int, channels: int) -> str:
    return graph.put(MaxPool1D(places), graph.shaped(node, (places, channels)))


def _reduced(graph: GraphBuilder, x: Value, axes: list[int], keepdim: bool, pool: Pool) -> Value:
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


def _reduction(pool: Pool) -> Function:
    """Return the function that records a reduction of the axes `dim`."""

    def record(
        graph: GraphBuilder, x: Value, dim: Sizes | None = None, keepdim: bool = False, dtype: object = None
    ) -> Value:
        return _reduced(graph, x, as_axes(x, dim), keepdim, pool)

    return record


_mean, _amax = _reduction(_average), _reduction(_maximum)


def _sum(
    graph: GraphBuilder, x: Value, dim: Sizes | None = None, keepdim: bool = False, dtype: object = None
) -> Value:
    mean = _mean(graph, x, dim, keepdim)
    return graph.apply(Rescaling(math.prod([x.shape[axis] for axis in as_axes(x, dim)])), mean)


def _max(
    graph: GraphBuilder, x: Value, dim: Sizes | None = None, keepdim: bool = False
) -> tuple[Value, Unknown]:
    require(isinstance(dim, int), "it must have a dim=, a whole number")
    return _amax(graph, x, dim, keepdim), Unknown("a network does not return the places of maxima")


def _adaptive(axes: int, whole: Pool, windows: Function) -> Function:
    """Return the function that records adaptive pooling, of all places or of windows."""

    def record(graph: GraphBuilder, x: Value, output_size: Sizes, return_indices: bool = False) -> Value:
        require(len(x.shape) == axes + 1, f"it must have {axes + 2} axes with the batch")
        require(not return_indices, "it returns indices")
        given = output_size if isinstance(output_size, tuple | list) else (output_size,) * axes
        outputs = [n if size is None else int(size) for n, size in zip(x.shape[1:], given, strict=True)]
        if outputs == [1] * axes:
            return _reduced(graph, x, [*range(1, axes + 1)], True, whole)
        sizes = [n // size for n, size in zip(x.shape[1:], outputs, strict=True)]
        even = all(n == size * window for n, size, window in zip(x.shape[1:], outputs, sizes, strict=True))
        require(even, f"output_size must divide {x.shape[1:]}, or be 1, got {output_size}")
        found: Value = windows(graph, x, sizes)
        return found

    return record


FUNCTIONS: dict[str, Function] = {
    "mean": _mean,
    "sum": _sum,
    "amax": _amax,
    "max": _max,
    **{f"adaptive_avg_pool{n}d": _adaptive(n, _average, average_pool(n)) for n in (1, 2)},
    **{f"adaptive_max_pool{n}d": _adaptive(n, _maximum, max_pool(n)) for n in (1, 2)},
}
